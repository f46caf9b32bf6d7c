"""All arms of a trial, compared with its control, and what became of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from unvanish.core.proofs import Arm, Comparison, Conclusion, Endpoint, Role
from unvanish.prove.concluding import FEWEST, Judged, bar, conclude, learned, moves
from unvanish.prove.harms import harms
from unvanish.prove.pairing import against, is_proportion, worst_of
from unvanish.prove.sentences import differs, level
from unvanish.prove.statistics import corrected, could_matter

__all__ = ["Judged", "bar", "conclude", "harms", "judge", "learned", "moves"]

_FEW_SAMPLES: Final = 200
"""Samples below which it is said how much one of them is."""
_ORDER: Final = (
    Conclusion.CANNOT,
    Conclusion.CURED,
    Conclusion.HEALTHY,
    Conclusion.IMPROVED,
    Conclusion.HARMED,
    Conclusion.INCONCLUSIVE,
    Conclusion.NO_EFFECT,
)
"""Which of several contenders is told, the first ones first."""


def judge(
    endpoint: Endpoint,
    arms: Sequence[Arm],
    *,
    contenders: Sequence[str],
    is_forced: bool = False,
    is_partial: bool = False,
    is_suspect: bool = True,
    patient: Arm | None = None,
    constant: float = math.nan,
    looks: int = 1,
) -> Judged:
    """Compare all arms of a trial with its control, and say what follows.

    Args:
        endpoint: What they are judged by.
        arms: All of them, with their runs; the control among them.
        contenders: Names of the arms that were put to the proof, in that order. The interval of
            each covers more, so that all of them together are told from chance 95 times in 100.
        is_forced: Whether the user named the treatment.
        is_partial: Whether the trial was stopped before its end.
        is_suspect: Whether a check of the control finds something.
        patient: The control with more steps, where nothing was found and it does not learn.
        constant: What the best constant answer scores on the part to choose by, if known.
        looks: How often the same arms have been looked at, the more pairs the later; every
            interval covers more for it.

    Returns:
        The conclusion with all arms, each compared and with its fate, the control first.
    """
    control = next((arm for arm in arms if arm.role is Role.CONTROL), None)
    if control is None or not control.runs:
        said = "no run of the control has ended: nothing can be compared"
        return Judged(conclusion=Conclusion.INCONCLUSIVE, said=said, arms=tuple(arms))
    worst = worst_of(endpoint, arms)
    compared_arms = [arm for arm in arms if arm.role is Role.CANDIDATE and arm.runs]
    confidence = 1.0 - 0.05 / (max(1, len(compared_arms)) * looks)
    proven = [a for a in arms if a.role is Role.CANDIDATE and a.name in contenders and a.runs]
    proven.sort(key=lambda arm: list(contenders).index(arm.name))
    tuned = next((a for a in arms if a.role is Role.CANDIDATE and not a.remedies and a.runs), None)
    null = next((a for a in arms if a.role is Role.NULL and a.runs), None)
    tried: list[Arm | None] = [*proven] or [None]
    answers = [
        conclude(
            endpoint,
            control,
            best=arm,
            tuned_control=tuned if tuned is not arm else None,
            null=null,
            worst=worst,
            confidence=confidence,
            is_forced=is_forced,
            is_partial=is_partial,
            is_suspect=is_suspect,
            patient=patient,
            constant=constant,
            looks=looks,
        )
        for arm in tried
    ]
    place = min(range(len(answers)), key=lambda i: _ORDER.index(answers[i].conclusion))
    answer = answers[place]
    shown = next((arm for arm in arms if arm.name == answer.chosen), None)
    if shown is None and proven:
        shown = proven[place]
    told = _with_fates(endpoint, arms, control, answer, worst, confidence, contenders)
    compared = next((arm.comparison for arm in told if shown and arm.name == shown.name), None)
    return replace(
        answer,
        arms=told,
        comparison=compared,
        harms=harms(control, shown, endpoint) if shown is not None and shown.runs else (),
        notes=(*answer.notes, *_notes(endpoint, arms, answer, worst, len(compared_arms))),
    )


def _with_fates(
    endpoint: Endpoint,
    arms: Sequence[Arm],
    control: Arm,
    answer: Judged,
    worst: float,
    confidence: float,
    contenders: Sequence[str],
) -> tuple[Arm, ...]:
    """Return the arms, compared and with what became of them, the control first."""
    told = []
    for arm in arms:
        if arm is control:
            told.append(replace(arm, fate="control", why=level(endpoint, control)))
            continue
        compared = None
        if arm.runs:
            compared = against(arm, control, endpoint, worst=worst, confidence=confidence)
        fate, why = _fate(endpoint, arm, compared, answer, contenders)
        told.append(replace(arm, comparison=compared, fate=fate, why=why))
    told.sort(key=lambda arm: arm.role is not Role.CONTROL)
    family = [i for i, arm in enumerate(told) if arm.role is Role.CANDIDATE and arm.comparison]
    p_values = [_p_value(told[i].comparison) for i in family]
    for i, p in zip(family, corrected(p_values), strict=True):
        compared = told[i].comparison
        if compared is not None:
            told[i] = replace(told[i], comparison=replace(compared, p_corrected=p))
    return tuple(told)


def _p_value(compared: Comparison | None) -> float:
    return math.nan if compared is None else compared.p_value


def _fate(
    endpoint: Endpoint,
    arm: Arm,
    compared: Comparison | None,
    answer: Judged,
    contenders: Sequence[str],
) -> tuple[str, str]:
    if compared is not None and compared.differences:
        said = f"{level(endpoint, arm)}; {differs(compared)}"
        if arm.role is not Role.CANDIDATE:
            return "compared", said
        if arm.name == answer.chosen:
            return "chosen", said
        return ("beaten" if answer.chosen else "compared"), said
    if arm.runs or arm.tries:
        failed = [run.failed for run in (*arm.runs, *arm.tries) if run.failed]
        if len(failed) == len((*arm.runs, *arm.tries)):
            return "failed", failed[0]
        if all(run.diverged or run.failed for run in arm.tries):
            why = next((run.diverged for run in arm.tries if run.diverged), "")
            return "dropped", f"it diverged in every try: {why}" if why else "no try ended"
        if arm.name in contenders:
            return "not run", "the trial ended before its proof"
        return "dropped", "others did better in the first tries"
    return "not run", "no run of it has ended"


def _notes(
    endpoint: Endpoint, arms: Sequence[Arm], answer: Judged, worst: float, contenders: int
) -> Iterable[str]:
    """Return what a sceptical reader has to know about the comparison."""
    by_name = {arm.name: arm for arm in arms}
    chosen = by_name.get(answer.chosen)
    lot = next((arm for arm in arms if arm.role is Role.RANDOM and arm.runs), None)
    many = lot is not None and len(lot.runs) >= FEWEST
    if chosen and lot and many and not _beats(endpoint, chosen, lot, worst):
        yield (
            "a remedy drawn by lot does about as well as the answer: "
            f"{level(endpoint, lot)}; what helps may not be what it is said to be"
        )
    if endpoint.goal is None:
        value = bar(endpoint)
        yield (
            "no goal was given, and chance is not known: nobody can say whether the network learns"
            if math.isnan(value)
            else f"no goal was given: from {endpoint.name} {value:.3g} on, half the way from "
            "chance to perfect, a network counts as one that learns"
        )
    if any(not math.isfinite(v) for arm in arms for v in arm.metrics) and math.isfinite(worst):
        yield f"a run without a result counts as {endpoint.name} {worst:.3g}"
    if contenders > 1:
        yield f"{contenders} treatments were put to the proof, and the intervals are widened for it"
    if is_proportion(endpoint) and endpoint.samples < _FEW_SAMPLES:
        one = 100.0 / endpoint.samples
        yield (
            f"{endpoint.samples} samples judge, so one of them is {one:.2g} percentage points; the "
            "interval is about seeds, not about other samples"
        )


def _beats(endpoint: Endpoint, arm: Arm, other: Arm, worst: float) -> bool:
    """Tell whether the seeds that both have speak for the first, however few they are."""
    return could_matter(against(arm, other, endpoint, worst=worst))
