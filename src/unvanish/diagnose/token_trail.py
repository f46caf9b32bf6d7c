"""What tokens do not have in common, followed from attention to attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from unvanish.core.findings import Cause
from unvanish.core.glossary import Quantity
from unvanish.core.records import Role, Site
from unvanish.core.wiring import Wiring

_FAR: Final = 40
"""Steps upstream of a softmax within which what it attends to has to be found."""


def decades_alike(wiring: Wiring, attention: Sequence[Site]) -> dict[Site, float]:
    """Return by how many decades tokens have grown alike where each attention reads them.

    Args:
        wiring: The op graph.
        attention: The softmaxes, in forward order.
    """
    best = -math.inf
    lost = {}
    for site in attention:
        apart = _deviation(wiring, site)
        if math.isnan(apart):
            continue
        own = math.log10(apart) if apart > 0.0 else -math.inf
        best = max(best, own)
        lost[site] = best - own if best > -math.inf else 0.0
    return lost


def _deviation(wiring: Wiring, softmax: Site) -> float:
    """Read what tokens do not have in common, behind the projections to query and key."""
    profile = wiring.recording[Quantity.TOKEN_DEVIATION]
    level = [(softmax, False)]  # with: whether a projection was passed
    seen: set[tuple[int, bool]] = set()
    for _ in range(_FAR):
        found = [profile[site] for site, passed in level if passed and profile.get(site) >= 0.0]
        if found:
            return max(found)
        above = []
        for site, passed in level:
            for producer in wiring.producers(site):
                one = (producer, passed or bool(site.weights))
                if (producer.index, one[1]) not in seen:
                    seen.add((producer.index, one[1]))
                    above.append(one)
        level = above
    return math.nan


def answers_tokens(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether the tokens that an attention mixes get an answer each, as far as is known.

    Args:
        wiring: The op graph.
        softmax: The attention.
    """
    tokens = softmax.shape[-2] if len(softmax.shape) > 1 else 0
    samples = wiring.recording.context.batch_size
    if tokens < 2 or samples < 1:
        return True
    stack = [softmax]
    seen = {softmax.index}
    while stack:
        site = stack.pop()
        after = wiring.consumers(site)
        if not after:
            return True
        for one in after:
            if one.role is not Role.SIGNAL:
                return True
            chooses = "softmax" in one.op and wiring.weighs(one) is not None
            if one.index in seen or chooses or _is_pooling(one, site, tokens, samples):
                continue
            seen.add(one.index)
            stack.append(one)
    return False


def _is_pooling(site: Site, before: Site, tokens: int, samples: int) -> bool:
    """Tell whether a step turns the tokens of each sample into one: their mean, or one of them."""
    if site.weights or not site.shape or site.size < samples:
        return False
    first, *rest = site.shape
    apart = tokens in rest or first == tokens * samples or (first == tokens != samples)
    merged = len(rest) == 1 and len(before.shape) > 2 and before.shape[0] == first == samples
    return not apart and (merged or site.size * tokens <= before.size)


def why_alike(wiring: Wiring, attention: Sequence[Site]) -> Cause:
    """Tell a missing skip connection from a norm behind every sum.

    Args:
        wiring: The op graph.
        attention: The softmaxes, in forward order.
    """
    if len(attention) < 2 or not _has_skip(wiring, attention[-2], attention[-1]):
        return Cause.DEPTH_WITHOUT_SKIP
    sums = [site for site in wiring.joins() if site.op == "add"]
    normed = [
        site
        for site in sums
        if (after := wiring.consumers(site)) and all("norm" in one.op for one in after)
    ]
    return Cause.POST_NORM if 2 * len(normed) > len(sums) else Cause.NO_NORMALISATION


def _has_skip(wiring: Wiring, before: Site, after: Site) -> bool:
    """Tell whether the later attention is reached past the product of the earlier one."""
    sources = {site.index for site in wiring.behind(before)}
    past = wiring.weighs(before)
    return any(site.index in sources for site in wiring.behind(after, past=past))
