"""What the two mechanisms of normalisations share: taking some of them out."""

from __future__ import annotations

from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, between, counted


def without_norms(
    recording: Recording, question: Question, *, after_add: bool
) -> tuple[Intervention, ...] | NotApplicable:
    """Propose the identity in place of some normalisations.

    Args:
        recording: What was observed.
        question: Between which two places.
        after_add: Whether it is those right behind a sum of two signals, or the others.
    """
    way = Way(recording, question)
    found = []
    for site, source in way.norms():
        before = recording.sites[source]
        if (before.op == "add" and len(way.producers(before)) > 1) is after_add:
            found.append((site, source))
    if not found:
        return NotApplicable(
            "no normalisation on the way follows a sum of two signals"
            if after_add
            else "there is no normalisation on the way"
            if not list(way.norms())
            else "every normalisation on the way follows a sum of two signals"
        )
    where = " behind the sum" if after_add else ""
    return between(
        Swap.JACOBIAN,
        f"{counted(len(found), 'normalisation')}{where} taken out",
        [(site.index, source) for site, source in found],
    )
