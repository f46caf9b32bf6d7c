"""What the two mechanisms of the weights' scale share: the layers and their critical scale."""

from __future__ import annotations

import math

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted, operations

_NEAR = 1.1
"""sigma_w within a tenth of the critical one counts as critical."""


def at_critical_scale(
    recording: Recording, question: Question, *, sign: int
) -> tuple[Intervention, ...] | NotApplicable:
    """Propose critical weights, with the forward pass held and with it made anew.

    Args:
        recording: What was observed.
        question: Between which two places.
        sign: 1 where the weights should be too small, -1 where too large.
    """
    way = Way(recording, question)
    found = [(site, spread, way.critical(site)) for site, spread in way.layers()]
    if not found:
        return NotApplicable("there is no plain layer of weights on the way")
    by_ratio = sorted(found, key=lambda one: one[2] / one[1])
    _, typical, aim = by_ratio[len(by_ratio) // 2]
    if sign * math.log(aim / typical) < math.log(_NEAR):
        return NotApplicable(
            f"sigma_w is {typical:.3g} in the typical layer, and {aim:.3g} at the critical scale"
        )
    factors: dict[str, float] = {}
    layers = set()
    for site, spread, critical in found:
        layers.add(site.weights or site.index)
        for name in way.scaled_by(site):
            factors.setdefault(name, critical / spread)
    what = (
        f"the weights of {counted(len(layers), 'layer')} at the critical scale "
        f"(sigma_w {typical:.3g} to {aim:.3g})"
    )
    held = Intervention(
        swap=Swap.GAIN,
        what=f"{what}, the signal held",
        sites=tuple(site.index for site, *_ in found),
        values=tuple(critical / spread for _, spread, critical in found),
    )
    if not all(way.scaled_by(site) for site, *_ in found):
        return (held,)  # no parameter holds the scale of a frozen or a normalised matrix
    return (
        held,
        Intervention(
            swap=Swap.PARAMETERS,
            what=what,
            sites=tuple(site.index for site, *_ in found),
            parameters=tuple(factors),
            values=tuple(factors.values()),
        ),
    )


def predicted(recording: Recording, explanation: Explanation, intervention: Intervention) -> float:
    """Return the decades by which the weights of the ledger's path change."""
    gains = operations(explanation)
    if intervention.swap is Swap.GAIN:
        by_site = dict(zip(intervention.sites, intervention.values, strict=True))
        return math.fsum(math.log10(by_site[site]) for site in by_site if site in gains)
    factors = dict(zip(intervention.parameters, intervention.values, strict=True))
    return math.fsum(
        math.log10(factors[name])
        for site in intervention.sites
        if site in gains
        for name in recording.sites[site].weights
        if name in factors
    )
