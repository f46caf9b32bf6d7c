"""Steps that no other mechanism knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.operations import HOOK_STEP, MATMUL_OPS
from unvanish.core.records import Recording, Site
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.composites import COMPOSITE
from unvanish.explain.factors.pooling import LAYOUT
from unvanish.explain.mechanisms.way import Way, between, counted, noun, replaced

_TAKEN: Final = (
    LAYOUT
    | MATMUL_OPS
    | frozenset("add sub rsub neg mul div cumsum sum mean".split())
    | {HOOK_STEP}
)
_LEAST: Final = 0.5
"""Decades that such steps must take on the way, all together."""


@final
@dataclass(frozen=True)
class OtherSteps:
    """A step that is no layer, no known activation and no normalisation takes the gradient.

    A function with a backward pass of the user's, a function written out in several steps, a
    softmax between layers.

    ## What it predicts
    With the identity in place of each of those steps on the way back, their decades of the ledger
    come back.

    ## How it differs from its rivals
    `slope-cap` and `saturation` know what the largest slope of an activation is. Here nothing is
    known but what was measured.

    ## Source
    A short derivation.
    """

    name: ClassVar[str] = "other-steps"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the Jacobian of every such step for the identity."""
        way = Way(recording, question)
        gains = {e.consumer: e.log10_gain for e in recording.edges}
        found = [(site, source) for site, source in _steps(way) if gains[site.index] > -1e300]
        if not abs(sum(gains[site.index] for site, _ in found)) > _LEAST:
            return NotApplicable("no step of a kind of its own lies on the way")
        sites = [site for site, _ in found]
        kind = f"{noun(sites, '')} step".lstrip()
        return between(
            Swap.JACOBIAN,
            f"the identity in place of {counted(len(sites), kind)}",
            [(site.index, source) for site, source in found],
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what those steps of the ledger's path took."""
        return replaced(explanation, intervention)


def _steps(way: Way) -> Iterator[tuple[Site, int]]:
    for site in way.sites:
        op = site.op.rstrip("_")
        known = site.slope_cap >= 0.0 or "norm" in op or "dropout" in op or site.weights
        if known or op in _TAKEN or (site.function.endswith("norm") and op != COMPOSITE):
            continue
        behind = [way.recording.sites[c].op for c in way.consumers.get(site.index, ())]
        if "softmax" in op and any(one in MATMUL_OPS for one in behind) and _mixes(way, site):
            continue
        source = way.source(site)
        if source is not None:
            yield site, source


def _mixes(way: Way, softmax: Site) -> bool:
    """Tell whether a softmax weighs another signal, as in attention."""
    return any(
        len(way.producers(way.recording.sites[c])) > 1 for c in way.consumers.get(softmax.index, ())
    )
