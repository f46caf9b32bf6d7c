"""How the scores of an attention are made: what they are products of, and how they are scaled."""

from __future__ import annotations

import math
from typing import Final

from unvanish.core.conditions import DataRole
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import number_of_choices, scores
from unvanish.diagnose.upstream import Upstream
from unvanish.theory.softmax import chance_frozen

_MADE_BY: Final = frozenset({"sum", "cdist"})
"""Steps besides a matrix product that make scores: squared distances, summed products."""

_SCALED: Final = 0.1
"""How far a division may miss sqrt(d) and still be that."""

_EXPLAINED: Final = 2.0
"""Frozen rows over those that chance expects up to which chance explains them."""

_UNIT: Final = 1e-3
"""How far the size of a vector may miss one."""


def shrunk_by(wiring: Wiring, softmax: Site) -> float:
    """Return the decades by which scores are divided beyond sqrt(d), and alike for it.

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    product = scores(wiring, softmax)
    recording = wiring.recording
    if product is None or recording.later is None:
        return 0.0
    size = recording[Quantity.ACTIVATION_RMS]
    whole = size.get(product)
    scaled = [
        size.get(site)
        for site in (*wiring.producers(softmax), *wiring.behind(softmax))
        if site.op in {"div", "mul"} and site.index > product.index
    ]
    reached = next((value for value in scaled if 0.0 < value < math.inf), 0.0)
    extents = [n for site in wiring.producers(product) for n in site.shape[-2:]]
    apart = max(r[Quantity.SCORE_SPREAD].get(softmax) for r in (recording, recording.later))
    if not (reached > 0.0 and 0.0 < whole < math.inf and 0.0 < apart < 1.0 and extents):
        return 0.0
    return min(-math.log10(apart), math.log10(whole / reached / math.sqrt(max(extents))))


def operand_sizes(wiring: Wiring, product: Site) -> list[float]:
    """Return the rms of what a product multiplies, where it can be told.

    Args:
        wiring: The op graph.
        product: The product.
    """
    upstream = Upstream(wiring.recording)
    sizes = [_size(wiring, upstream, site) for site in wiring.producers(product)]
    return [size for size in sizes if size > 0.0]


def is_drawn(recording: Recording, softmax: Site) -> bool:
    """Tell whether no more rows of a softmax are frozen than random scores would freeze.

    Args:
        recording: What was measured.
        softmax: The softmax.
    """
    expected = chance_frozen(
        recording[Quantity.SCORE_SPREAD].get(softmax), number_of_choices(softmax)
    )
    return recording[Quantity.FROZEN_FRACTION].get(softmax) <= _EXPLAINED * expected


def has_own_temperature(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether scores are scaled by anything but sqrt(d), or it cannot be told.

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    size = wiring.recording[Quantity.ACTIVATION_RMS]
    site, factor = softmax, 1.0
    while producers := wiring.producers(site):
        if len(producers) > 1 or producers[0].weights:
            return True
        site = producers[0]
        if wiring.is_mixing(site) or site.op in _MADE_BY:
            break
        if site.op in {"mul", "div"}:
            whole = _next_size(wiring, site)
            factor *= whole / size.get(site) if size.get(site) > 0.0 else math.nan
    else:
        return True
    extents = [n for one in wiring.producers(site) for n in one.shape[-2:]]
    usual = (1.0, *(math.sqrt(n) for n in extents))
    return not any(abs(factor / one - 1.0) <= _SCALED for one in usual)


def is_scaled(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether scores, or what they are products of, are multiplied with a constant.

    The fused attention of PyTorch divides queries and keys by d^(1/4) each, its multi-head
    module the queries by sqrt(d), before they meet.

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    product = scores(wiring, softmax)
    operands = wiring.producers(product) if product is not None else []
    return any(
        site.op in {"mul", "div"} and len(wiring.producers(site)) == 1
        for start in (softmax, *operands)
        for site in _without_weights(wiring, start)
    )


def _without_weights(wiring: Wiring, site: Site) -> list[Site]:
    """Return the steps from one upstream, up to one with weights or with several inputs."""
    found = [site]
    while len(producers := wiring.producers(site)) == 1:
        site = producers[0]
        if site.weights or wiring.is_mixing(site) or site.op in _MADE_BY:
            break
        found.append(site)
    return found


def are_cosines(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether a softmax is taken of the cosines of queries and keys as they are.

    Vectors of d numbers that were divided by their length have the rms 1 / sqrt(d).

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    product = scores(wiring, softmax)
    if product is None or has_own_temperature(wiring, softmax):
        return False
    size = wiring.recording[Quantity.ACTIVATION_RMS]
    whole, reached = size.get(product), wiring.recording[Quantity.SCORE_SPREAD].get(softmax)
    if not reached >= 0.5 * whole:
        return False
    operands = wiring.producers(product)
    return len(operands) == 2 and all(_is_of_unit_length(wiring, one) for one in operands)


def asks_by_weights_alone(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether an input that asks reaches the output by the weights of a softmax alone.

    It is made into queries, while what is weighed comes from other inputs.

    Args:
        wiring: The op graph.
        softmax: The softmax.
    """
    product = scores(wiring, softmax)
    entries = {tensor.site for tensor in wiring.recording.data if tensor.role is DataRole.INPUT}
    ends = [site for site in wiring.recording.signal_sites() if site.is_output]
    other = {one.index for end in ends for one in wiring.behind(end, past=softmax)}
    if product is None or not entries & other:
        return False
    operands = wiring.producers(product)
    keys = number_of_choices(softmax)
    asking = [one for one in operands if keys not in one.shape[-2:]] or operands
    return any(
        entries & own and not own & other
        for operand in asking
        for own in [{operand.index, *(one.index for one in wiring.behind(operand))}]
    )


def _is_of_unit_length(wiring: Wiring, operand: Site) -> bool:
    size = wiring.recording[Quantity.ACTIVATION_RMS]
    for site in (operand, *wiring.behind(operand)):
        if site.weights:
            return False
        if site.op == "div":
            lengths = any("norm" in one.op for one in wiring.behind(site) if not one.weights)
            features = site.shape[-1] if site.shape else 0
            unit = abs(size.get(site) * math.sqrt(features) - 1.0) <= _UNIT
            return lengths and unit
    return False


def _next_size(wiring: Wiring, site: Site) -> float:
    """Return the rms of what enters a step, read where it was last measured."""
    size = wiring.recording[Quantity.ACTIVATION_RMS]
    for one in wiring.behind(site):
        if size.get(one) > 0.0:
            return size[one]
    return math.nan


def _size(wiring: Wiring, upstream: Upstream, operand: Site) -> float:
    for site in (operand, *wiring.behind(operand)):
        if (size := upstream.rms(site)) > 0.0:
            return size
        if site.weights:
            fed = max((upstream.rms(one) for one in wiring.producers(site)), default=0.0)
            gain = upstream.gain(site)
            return fed * gain if gain > 0.0 else 0.0
    return 0.0
