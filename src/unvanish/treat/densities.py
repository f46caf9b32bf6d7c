"""Networks that compute by how much they stretch their input, as normalising flows do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from unvanish.core.operations import VIEW_OPS
from unvanish.core.prescriptions import Change
from unvanish.core.records import Recording, Role, Site
from unvanish.core.wiring import Wiring
from unvanish.treat.exponents import EXPONENTIALS

_SUMS: Final = VIEW_OPS | frozenset("sum mean add sub rsub neg mul cat stack".split())
"""What lies between the logarithm of a stretch and the likelihood."""
_SCALED: Final = VIEW_OPS | {"neg", "mul", "div"}
"""What lies between what a layer says and the exponential of it."""
_FARTHEST: Final = 4
"""Steps that may lie there."""
_UNTRUE: Final = frozenset({Change.PATH, Change.DATA})


def untrue(recording: Recording, change: Change) -> str:
    """Say why a change of some kind would make a network's likelihood untrue.

    A normalising flow adds up the logarithms of what it multiplies its signal by. A path round a
    layer, or another scale of the data, changes the one and not the other: the likelihood rises
    and is that of nothing.

    Args:
        recording: One look at the network.
        change: What a remedy touches.

    Returns:
        The reason; empty where there is none.
    """
    if change not in _UNTRUE or not _tells_its_stretch(recording):
        return ""
    return (
        "it adds up by how much it stretches its input, as a normalising flow does, and that sum "
        "would not know of it"
    )


def _tells_its_stretch(recording: Recording) -> bool:
    """Tell whether what scales the signal goes another way to the answer as a logarithm."""
    wiring = Wiring(recording)
    return any(
        _scales(wiring, site) and _is_told(wiring, site)
        for site in recording.sites
        if site.op in EXPONENTIALS and site.role is Role.SIGNAL
    )


def _scales(wiring: Wiring, exponential: Site) -> bool:
    """Tell whether an exponential is multiplied with other signal."""
    return any(
        site.op in ("mul", "div") and len(wiring.producers(site)) > 1
        for site in _through_views(wiring, exponential)
    )


def _through_views(wiring: Wiring, start: Site) -> Iterator[Site]:
    waiting = list(wiring.consumers(start))
    while waiting:
        site = waiting.pop()
        if site.op in VIEW_OPS:
            waiting += wiring.consumers(site)
        else:
            yield site


def _is_told(wiring: Wiring, exponential: Site) -> bool:
    """Tell whether what an exponential is given is also added up to an answer."""
    below, seen = exponential, {exponential.index}
    for _ in range(_FARTHEST):
        before = wiring.producers(below)
        if len(before) != 1:
            return False
        aside = [one for one in wiring.consumers(before[0]) if one.index not in seen]
        if any(_arrives(wiring, one) for one in aside):
            return True
        below = before[0]
        seen.add(below.index)
        if below.op not in _SCALED:
            return False
    return False


def _arrives(wiring: Wiring, start: Site) -> bool:
    """Tell whether a step is added up to an answer, with no layer between."""
    waiting, seen, has_sum = [start], {start.index}, False
    while waiting:
        site = waiting.pop()
        if site.op not in _SUMS or site.weights:
            continue
        has_sum = has_sum or site.op == "sum"
        after = wiring.consumers(site)
        if has_sum and (not after or any(one.role is Role.LOSS for one in after)):
            return True
        fresh = [one for one in after if one.index not in seen]
        seen.update(one.index for one in fresh)
        waiting += fresh
    return False
