"""From arms to a conclusion, and to the sentence that says it.

Whether a network *learns* is decided by a bar and by a share of the seeds: at least 80 % of them
have to reach it. The bar is the user's goal. Without one it is half the way from chance to
perfect, where both are known: a cure claims more than a difference, and half the way is beyond
what a constant answer or a single easy class gives. Without either nobody can say that a network
learns, and neither `healthy` nor `cured` is ever said.

What follows, in this order:

1. *cannot*: no run of the control gave a result for a reason other than its training.
2. *harmed*: the user named the treatment, and it is worse by the rule of `is_better`.
3. *healthy*: the control reaches the goal. Doing nothing wins even where an arm is a little
   better; the sentence mentions it.
4. *inconclusive*: it was stopped before its end, fewer than 3 seeds can be compared, or the null
   arm, the same network with other initial weights, differs from the control.
5. *cured*, *improved*: the arm is better by the rule of `is_better`, and by more than the null arm
   differs; or so many more of its runs reach the user's goal that chance is ruled out. Cured is
   where the control does not learn and the arm does; improved all else. Without a goal a cure also
   has to leave the control less than half of the arm's way from chance, and a control that has
   90 % of it is healthy: there is nothing left to gain. Where a check finds nothing either, a
   control better than chance is healthy unless an arm learns and leaves it that far behind although
   it is given more steps; one that is not better is left alone where the arm does not come half
   the way to the bar either.
6. *inconclusive* again: what was seen would count, and could be chance.
7. *no effect*, or *healthy* where the control learns by the bar of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from unvanish.core.proofs import Arm, Comparison, Conclusion, Endpoint, Harm, Role
from unvanish.prove.pairing import PROPORTION, against, have_decades, worst_of
from unvanish.prove.sentences import interval, level, reaches, results
from unvanish.prove.statistics import could_matter, exceeds_by_chance, is_better, is_worse

FEWEST: Final = 3
"""Seeds below which nothing is decided by comparison."""
SHARE: Final = 0.8
"""Share of the seeds that have to learn: one of five may be a bad draw, one of three not."""
NOTHING_LEFT: Final = 0.9
"""Share of the best arm's way from chance with which a control without a goal is healthy."""
HALF: Final = 0.5
"""Share of the arm's way from chance up to which a control without a goal has not learned."""
_BY_CHANCE: Final = 0.05
"""Probability up to which a difference in goals reached is not put down to chance."""
_CERTAIN: Final = 0.99
"""What the interval of the null arm covers: a broken test is not called so at one in twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a trial comes to.

    Attributes:
        conclusion: In a word.
        said: In a sentence or two.
        chosen: Name of the arm that is the answer; empty where none is.
        arms: All arms, each with its comparison and its fate.
        comparison: The chosen arm, or the best, against the control; None without one.
        harms: What was compared beside the endpoint; of the chosen arm, or the best.
        notes: What a sceptical reader has to know.
        is_open: Whether more seeds may decide it.
    """

    conclusion: Conclusion
    said: str
    chosen: str = ""
    arms: tuple[Arm, ...] = ()
    comparison: Comparison | None = None
    harms: tuple[Harm, ...] = ()
    notes: tuple[str, ...] = ()
    is_open: bool = False


def bar(endpoint: Endpoint) -> float:
    """Return the value from which a network counts as one that learns.

    Args:
        endpoint: What it is judged by.

    Returns:
        The goal, or half the way from chance to perfect; ``nan`` where nobody can say. Perfect is
        1 for an accuracy, and 0 for a loss whose chance is above 0.
    """
    if endpoint.goal is not None:
        return endpoint.goal
    if endpoint.higher_is_better:
        return (endpoint.chance + 1.0) / 2.0 if endpoint.name == PROPORTION else math.nan
    return endpoint.chance / 2.0 if endpoint.chance > 0.0 else math.nan


def learned(endpoint: Endpoint, metrics: Sequence[float]) -> bool:
    """Tell whether a network learns: at least 80 % of its seeds reach the bar.

    Args:
        endpoint: What it is judged by.
        metrics: One result a seed; ``nan`` where there is none.
    """
    asked = replace(endpoint, goal=bar(endpoint))
    hits = sum(1 for value in metrics if asked.reached(value))
    return bool(metrics) and hits >= SHARE * len(metrics) - 1e-9


def moves(endpoint: Endpoint, control: Arm) -> bool:
    """Tell whether every seed ends better than chance, or than before its training.

    Args:
        endpoint: What it is judged by.
        control: The network as it is.
    """
    runs, floor = control.runs, endpoint.floor
    if not runs or not all(math.isfinite(run.metric) for run in runs):
        return False
    if math.isfinite(floor):
        return all(run.metric != floor and endpoint.better(run.metric, floor) for run in runs)
    return all(run.losses and run.training_loss < run.losses[0] for run in runs)


def conclude(
    endpoint: Endpoint,
    control: Arm,
    *,
    best: Arm | None = None,
    tuned_control: Arm | None = None,
    null: Arm | None = None,
    worst: float | None = None,
    confidence: float = 0.95,
    is_forced: bool = False,
    is_partial: bool = False,
    is_suspect: bool = True,
    patient: Arm | None = None,
    constant: float = math.nan,
    looks: int = 1,
) -> Judged:
    """Say what follows from the arms of a trial.

    Args:
        endpoint: What they are judged by.
        control: The network as it is.
        best: The treatment that was chosen before these runs; None where there was none.
        tuned_control: The control at a learning rate of its own; where it does as well as `best`,
            the learning rate is the answer, since it changes less.
        null: The control with other initial weights.
        worst: What a run without a result counts as; None for the worst of these arms.
        confidence: What the intervals are to cover.
        is_forced: Whether the user named the treatment.
        is_partial: Whether the trial was stopped before its end.
        is_suspect: Whether a check of the control finds something.
        patient: The control with more steps, where nothing was found and it does not learn.
        constant: What the best constant answer scores on the part to choose by, if known.
        looks: How often the arms have been looked at; goals reached have to be as much less likely
            to be chance. `confidence` is to be widened by the caller.

    Returns:
        The conclusion, the sentence, the comparison and the name of the answer.
    """
    arms = [arm for arm in (control, best, tuned_control, null) if arm is not None]
    worst = worst_of(endpoint, arms) if worst is None else worst
    case = _Case(endpoint, control, null, worst, confidence, constant, looks)
    if control.runs and all(run.failed for run in control.runs):
        why = f"the control could not be trained: {control.runs[0].failed}"
        return Judged(conclusion=Conclusion.CANNOT, said=why)
    compared = case.against_control(best) if best is not None else None
    if best is not None and is_forced:
        if all(run.failed for run in best.runs) and best.runs:
            why = f"{best.name} could not be trained: {best.runs[0].failed}"
            return Judged(conclusion=Conclusion.CANNOT, said=why, comparison=compared)
        if compared is not None and case.is_harmful(compared) and not is_partial:
            said = f"{best.name} makes it worse: {results(endpoint, control, best, compared)}"
            return Judged(conclusion=Conclusion.HARMED, said=said, comparison=compared)
    healthy = case.healthy(best, compared, is_partial=is_partial)
    if healthy is not None:
        return healthy
    is_unasked = not (is_suspect or is_forced or is_partial) and endpoint.goal is None
    is_sound = moves(endpoint, control) or (best is not None and case.is_little(best))
    if is_unasked and (best is None or (is_sound and not case.is_clear(best, patient))):
        return case.left_alone(has_rivals=best is not None or patient is not None)
    doubt = case.doubt(best, compared, is_partial=is_partial)
    if doubt:
        return Judged(conclusion=Conclusion.INCONCLUSIVE, said=doubt, comparison=compared)
    if tuned_control is not None and case.is_as_good(tuned_control, best):
        best, compared = tuned_control, case.against_control(tuned_control)
    return case.told(best, compared)


@dataclass(frozen=True)
class _Case:
    """A control, and the measure that everything is compared with it by."""

    endpoint: Endpoint
    control: Arm
    null: Arm | None
    worst: float
    confidence: float
    constant: float
    looks: int

    def against_control(self, arm: Arm) -> Comparison:
        return against(
            arm, self.control, self.endpoint, worst=self.worst, confidence=self.confidence
        )

    def learns(self, arm: Arm | None) -> bool:
        return arm is not None and learned(self.endpoint, _fair(arm))

    def holds(self, arm: Arm, compared: Comparison) -> bool:
        """Tell whether an arm is better than the control, and by more than the null arm is."""
        if self._outlives(arm) or self._reaches_more(arm):
            return True
        by_chance = 0.0
        if self.null is not None:
            null = self.against_control(self.null)
            alike = null.in_decades == compared.in_decades
            by_chance = abs(null.mean) if null.differences and alike else 0.0
        return is_better(compared) and compared.mean > by_chance

    def is_harmful(self, compared: Comparison) -> bool:
        """Tell whether enough seeds say that the arm is worse."""
        return len(compared.differences) >= FEWEST and is_worse(compared)

    def _reaches_more(self, arm: Arm) -> bool:
        """Tell whether more runs of an arm reach the goal than chance lets: Fisher's exact test.

        Where a control ends anywhere within ten decades, no interval of differences says anything,
        and that none of its runs reaches the goal which all of the arm's reach says enough.
        """
        if self.endpoint.goal is None:
            return False
        values = [_fair(each) for each in (self.control, arm)]
        control, treated = (sum(map(self.endpoint.reached, each)) for each in values)
        p_value = exceeds_by_chance(control, len(values[0]), treated, len(values[1]))
        return treated >= SHARE * len(values[1]) and p_value <= _BY_CHANCE / self.looks

    def _outlives(self, arm: Arm) -> bool:
        """Tell whether the control diverges on every seed, and the arm on hardly any.

        Where chance is not known there is nothing to subtract then, and nothing to doubt.
        """
        ended = [math.isfinite(value) for value in arm.metrics]
        return (
            len(ended) >= FEWEST
            and len(self.control.runs) >= FEWEST
            and not math.isfinite(self.endpoint.chance)
            and all(run.diverged for run in self.control.runs)
            and sum(ended) >= SHARE * len(ended)
        )

    def way(self, arm: Arm) -> float:
        """Return how far an arm comes from chance, or from before its training, in the median.

        A metric of the user's own has no chance that is known: there the score on the part to
        choose by is asked, where it is known what a constant answer gets.
        """
        if math.isnan(bar(self.endpoint)) and math.isfinite(self.constant):
            scores = [run.validation for run in arm.runs]
            ended = [v if math.isfinite(v) else self.constant for v in scores]
            return max(0.0, median(ended) - self.constant) if ended else math.nan
        values = [v if math.isfinite(v) else self.worst for v in _fair(arm)]
        if not values:
            return math.nan
        way = median(values) - self.endpoint.floor
        return max(0.0, way if self.endpoint.higher_is_better else -way)

    def left_behind(self, arm: Arm, control: Arm | None = None) -> float:
        """Return which share of an arm's way from chance the control has come."""
        whole = self.way(arm)
        return self.way(control or self.control) / whole if whole > 0.0 else math.nan

    def healthy(
        self, best: Arm | None, compared: Comparison | None, *, is_partial: bool
    ) -> Judged | None:
        """Judge a control that learns; None where it does not, or nobody can say."""
        if not self.learns(self.control):
            return None
        few = len(self.control.runs) < FEWEST
        if few and (is_partial or self.endpoint.goal is None):
            return None
        said = f"the network learns as it is: {level(self.endpoint, self.control)}"
        better = best is not None and compared is not None and self.holds(best, compared)
        if better and best is not None and compared is not None:
            little = self.endpoint.goal is not None or self.left_behind(best) >= NOTHING_LEFT
            if not little:
                return None
            said += f"; {best.name} is a little better, by {interval(compared)}"
        elif best is not None and compared is not None and is_worse(compared):
            said += f"; {best.name} is worse, by {interval(compared)}"
        return Judged(conclusion=Conclusion.HEALTHY, said=said, comparison=compared)

    def is_clear(self, best: Arm, patient: Arm | None) -> bool:
        """Tell whether an arm learns and leaves far behind what the control does with more steps.

        It is asked where a check finds nothing and nobody said what is enough: noise in the target
        may keep a sound network from the bar, and then it keeps every other one from it too.
        """
        if not self.learns(best) and not math.isnan(bar(self.endpoint)):
            return False
        return self.left_behind(best, self.control if patient is None else patient) < HALF

    def is_little(self, best: Arm) -> bool:
        """Tell whether an arm, too, stays nearer to a constant answer than to the bar.

        Where most labels are of one class, and the rest is noise, a sound network can score as a
        constant answer does, and learn all the same what is there to learn.
        """
        return self.way(best) < HALF * abs(bar(self.endpoint) - self.endpoint.chance)

    def left_alone(self, *, has_rivals: bool) -> Judged:
        """Judge a control in which nothing was found, and of which nobody said what is enough."""
        here = level(self.endpoint, self.control)
        if len(self.control.runs) >= FEWEST and moves(self.endpoint, self.control):
            than = "it is untrained" if math.isnan(self.endpoint.chance) else "chance"
            said = f"a check finds nothing, and the network is better than {than}: {here}"
            if has_rivals:
                said += "; nothing that was tried leaves it far behind"
            return Judged(conclusion=Conclusion.HEALTHY, said=said)
        said = (
            f"a check finds nothing, and nobody said what is enough: {here}. "
            "GOAL = ... in the recipe settles it"
        )
        return Judged(conclusion=Conclusion.INCONCLUSIVE, said=said)

    def doubt(self, best: Arm | None, compared: Comparison | None, *, is_partial: bool) -> str:
        """Return why nothing can be concluded; empty where something can."""
        if best is None:
            if is_partial:
                return "it was stopped before anything was put to the proof"
            if len(self.control.runs) < FEWEST:
                few = f"{len(self.control.runs)} seed{'s' * (len(self.control.runs) != 1)}"
                here = level(self.endpoint, self.control)
                return f"{few} of the control cannot decide it, and it takes {FEWEST}: {here}"
            return ""
        pairs = len(compared.differences) if compared is not None else 0
        seen = results(self.endpoint, self.control, best, compared) if pairs else ""
        if is_partial:
            return f"it was stopped before its end, after {pairs} pairs" + (seen and f": {seen}")
        if pairs < FEWEST:
            few = f"{pairs} seed{'' if pairs == 1 else 's'}"
            return f"{few} can be compared, and it takes {FEWEST}" + (seen and f": {seen}")
        if self.null is not None:
            null = against(
                self.null, self.control, self.endpoint, worst=self.worst, confidence=_CERTAIN
            )
            differs = is_better(null) or is_worse(null)
            if differs and (self.learns(self.null) or not self._is_beyond(best, compared, null)):
                return (
                    "the control differs from itself with other initial weights, by "
                    f"{interval(null)}: what is measured is not the treatment"
                )
        return ""

    def _is_beyond(self, best: Arm, compared: Comparison | None, null: Comparison) -> bool:
        """Tell whether a gain is more than the control differs from itself.

        An error near zero can gain no more than all of what the control has: where it is a
        fraction of that, it is the logarithms that tell.
        """
        if _exceeds(compared, null):
            return True
        if self.null is None or not have_decades(self.endpoint, best, self.null, self.control):
            return False
        gain, drawn = (
            against(
                arm,
                self.control,
                self.endpoint,
                worst=self.worst,
                confidence=_CERTAIN,
                decades=True,
            )
            for arm in (best, self.null)
        )
        return _exceeds(gain, drawn)

    def is_as_good(self, tuned: Arm, best: Arm | None) -> bool:
        """Tell whether the learning rate alone does what the treatment does."""
        compared = self.against_control(tuned)
        if len(compared.differences) < FEWEST or not self.holds(tuned, compared):
            return False
        if best is None:
            return True
        if self.learns(best) and not self.learns(tuned):
            return False
        further = against(best, tuned, self.endpoint, worst=self.worst, confidence=self.confidence)
        return not could_matter(further)

    def told(self, best: Arm | None, compared: Comparison | None) -> Judged:
        """Judge where the comparison decides."""
        here = level(self.endpoint, self.control)
        if best is None or compared is None:
            said = f"the network does not learn, and nothing did better in the tries: {here}"
            if math.isnan(bar(self.endpoint)):
                said = f"nothing did better in the tries: {here}"
            return Judged(conclusion=Conclusion.NO_EFFECT, said=said)
        seen = results(self.endpoint, self.control, best, compared)
        if self.holds(best, compared):
            return self._better(best, compared, seen)
        if could_matter(compared):
            said = f"{best.name} may help, and it could be chance: {seen}; more seeds may decide it"
            return Judged(
                conclusion=Conclusion.INCONCLUSIVE, said=said, comparison=compared, is_open=True
            )
        said = f"{best.name} makes no difference that could be told from chance: {seen}"
        if is_worse(compared):
            said = f"{best.name}, the best of what was tried, is worse: {seen}"
        return Judged(conclusion=Conclusion.NO_EFFECT, said=said, comparison=compared)

    def _better(self, best: Arm, compared: Comparison, seen: str) -> Judged:
        cured = self.learns(best) and not self.learns(self.control)
        if cured and self.endpoint.goal is None:
            cured = self.left_behind(best) < HALF
        if cured:
            conclusion, said = Conclusion.CURED, f"{best.name} cures it: {seen}"
        else:
            conclusion, said = Conclusion.IMPROVED, f"{best.name} is better: {seen}"
        if self.endpoint.goal is not None:
            said += f"; {reaches(self.endpoint, best)}"
        return Judged(conclusion=conclusion, said=said, chosen=best.name, comparison=compared)


def _exceeds(compared: Comparison | None, null: Comparison) -> bool:
    """Tell whether all of a gain is more than the control differs from itself, either way."""
    return (
        compared is not None
        and compared.in_decades == null.in_decades
        and compared.low > max(abs(null.low), abs(null.high))
    )


def _fair(arm: Arm) -> list[float]:
    """Return the results of the runs that say something about the training."""
    keep_failed = arm.role is not Role.CONTROL
    return [run.metric for run in arm.runs if keep_failed or not run.failed]
