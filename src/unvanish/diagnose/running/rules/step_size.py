"""UV611: steps far beyond what the network can take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    end_of_numbers,
    neighbours,
    rate_events,
    rate_rises,
    rows_of,
    trained_groups,
    when,
)
from unvanish.diagnose.running.losses import (
    apart,
    climbing_since,
    lost_since,
    progress_of,
    spikes,
)

_EARLY: Final = 8
"""So many steps before the loss broke are looked at, if no sample lies further back."""


@final
@dataclass(frozen=True, kw_only=True)
class StepTooLong:
    """The optimiser's steps change the whole network at once, and the loss pays for it.

    ## What it measures
    What the optimiser really changed: per layer, the size of a step over the size of the weights,
    r. In a chain of layers a step changes the answer by up to the product of all (1 + r), less 1:
    a bound on the relative change of the function and of its gradient. Beyond 1 (`max_change`) the
    gradient says nothing any more of where the step leads. Layers whose weights are zero have no
    ratio and are left out.

    Long steps alone are no finding, since the bound is far from sharp where layers stand side by
    side. The loss has to pay: it is no number any more, it lost half of what had been gained, it
    jumped (a note where it came back), it climbs, or it never fell. The step must be one of the
    samples next to the place where that began, or within the eight steps before it, or one of the
    first eight steps where the loss never fell.

    Where none of these was too long, a learning rate that was raised to more than twice its value
    in the same stretch of steps counts too: the long step itself may lie between two samples.

    Curvature itself is not measured. The gradients of two steps are of two batches, and their
    difference along the step is noise as much as curvature; UV607 reads the learning rate against
    the curvature off the direction in which successive gradients point.

    ## Why it hurts
    A step past the region where the gradient holds raises the loss, drives units into their dead
    or flat ends, and is seldom undone by later ones.

    ## When it stays silent
    While the loss falls, whatever the steps. On runs that end where they gained most.

    ## False alarms
    None is known on a run whose loss has come down and stayed there.

    ## What helps
    The factor in the help line takes the steps to a change of 0.1. A warm-up over the first few
    hundred steps; clipping, where a single gradient is too long.

    ## Source
    Bernstein and others (2020), who derive the bound; Cohen and others (2021) for what happens
    beyond the stable learning rate.
    """

    code: ClassVar[str] = "UV611"
    name: ClassVar[str] = "step-too-long"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {StepQuantity.LOSS, LayerQuantity.LOG10_UPDATE_RATIO}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bernstein2020"], SOURCES["cohen2021"])

    max_change: float = 1.0

    def examine(self, run: RunRecording) -> Verdict:
        """Look where the loss broke, and how long the steps were there."""
        losses = run.over(StepQuantity.LOSS)
        changes = changes_of(run)
        if not losses or not changes:
            return NotMeasured("the loss and the optimiser's updates")
        place = _broke(run) or self._never_below_first(run, changes)
        if place is None and progress_of(run) is None:
            return NotMeasured("the loss of 64 steps")
        if place is None:
            last = changes[max(changes)]
            return Clear(
                max(0.0, math.log10(self.max_change / last)) if last > 0.0 else math.inf,
                "decades" if last > 0.0 else "",
                f"the loss stays near its best, with steps that change the network by {last:.2g}",
            )
        step, what, lasts = place
        before, after = _sound(changes, step), neighbours(changes, step)[1]
        since = min(before, step - _EARLY)
        near = {s: change for s, change in changes.items() if since <= s <= after}
        if step == losses[0][0]:
            near |= {s: change for s, change in changes.items() if s <= losses[0][0] + _EARLY}
        longest = max(near, key=lambda s: near[s], default=-1)
        raised = [rise for rise in rate_rises(run) if since <= rise[0] <= max(after, step)]
        if longest >= 0 and near[longest] > self.max_change:
            long = [s for s, change in near.items() if change > self.max_change]
            began = min(step, *long, *(rise[0] for rise in raised))
            return Found(
                (self._too_long(run, began, what, lasts, longest, near[longest], changes),)
            )
        if raised and raised[0][0] <= step + run.conditions.every:
            return Found(
                (
                    self._raised(
                        step, what, lasts, raised[0], _sound(changes, min(step, raised[0][0]))
                    ),
                )
            )
        margin = near.get(longest, 0.0)
        return Clear(
            math.log10(self.max_change / margin) if margin > 0.0 else math.inf,
            "decades" if margin > 0.0 else "",
            f"{what}, but not for long steps: they change the network by {margin:.2g} there",
        )

    def _never_below_first(
        self, run: RunRecording, changes: Mapping[int, float]
    ) -> tuple[int, str, bool] | None:
        """Tell whether the very first step was too long, and the run only came back from it.

        What the loss was before is then known from one step alone, and not from a level.
        """
        progress = progress_of(run)
        if progress is None or not changes.get(0, 0.0) > self.max_change:
            return None
        step, first = progress.losses[0]
        if progress.best.value < first - progress.best.spread:
            return None
        return step, f"the loss is never again below its first value, {first:.3g}", True

    def _too_long(
        self,
        run: RunRecording,
        step: int,
        what: str,
        lasts: bool,
        longest: int,
        change: float,
        changes: dict[int, float],
    ) -> Finding:
        sound = max(
            (s for s, c in changes.items() if s < step and c <= self.max_change), default=-1
        )
        long = sum(c > self.max_change for s, c in changes.items() if s >= step or s == longest)
        factor = 10.0 ** math.ceil(math.log10(change / 0.1)) if change < 1e9 else math.inf
        by = f"by a factor of {factor:g}" if math.isfinite(factor) else "by many powers of ten"
        rates = [text for at, text in rate_events(run) if abs(at - step) <= run.conditions.every]
        shown = f"{change:.2g} times" if change < 1e6 else "more than a million times"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if lasts else Severity.NOTE,
            message=f"the step at {longest:,} changes the network by up to {shown} its size, and "
            f"{what}",
            measured=change,
            expected=0.1,
            limit=self.max_change,
            unit="of the network's size",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                *when(step, sound, max(changes), max(1, long)),
                *(f"step {step:,}: {text}" for text in rates[:1]),
            ),
            help=(
                f"lower the learning rate {by} there, or let it rise over the first few hundred "
                "steps",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()",
            ),
            step=step,
        )

    def _raised(
        self,
        step: int,
        what: str,
        lasts: bool,
        rise: tuple[int, float, float],
        sound: int,
    ) -> Finding:
        at, before, after = rise
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if lasts else Severity.NOTE,
            message=f"the learning rate was raised from {before:g} to {after:g}, and {what}",
            measured=after / before,
            expected=1.0,
            limit=2.0,
            unit="times the learning rate before",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"began at step {min(step, at):,} (last sound sample at step {sound:,}); the loss "
                f"broke at step {step:,}",
            ),
            help=(f"keep the learning rate at {before:g}, or raise it over some hundred steps",),
            step=min(step, at),
        )


def _sound(changes: Mapping[int, float], step: int) -> int:
    """Return the last sample before a step; -1 where there is none."""
    return max((s for s in changes if s < step), default=-1)


def changes_of(run: RunRecording) -> dict[int, float]:
    """Return sampled step to the product of all (1 + step / weights) of a group, less 1.

    Of several groups (models, optimisers) the largest counts.
    """
    ratios = rows_of(run, LayerQuantity.LOG10_UPDATE_RATIO)
    groups = trained_groups(run)
    found = {}
    for step, row in ratios.items():
        sums = []
        for layers in groups:
            known = [row[x.index] for x in layers if row.get(x.index, math.inf) < math.inf]
            if known:
                sums.append(sum(math.log1p(10.0 ** min(value, 300.0)) for value in known))
        if sums:
            found[step] = math.expm1(min(max(sums), 700.0))
    return found


def _broke(run: RunRecording) -> tuple[int, str, bool] | None:
    """Return where the loss broke, what it did in half a sentence, and whether that lasts."""
    losses = run.over(StepQuantity.LOSS)
    end = end_of_numbers(run)
    if end <= losses[-1][0]:
        since = min(climbing_since(run)[0], end)
        return since, f"the loss is no number from step {end:,} on", True
    progress = progress_of(run)
    if progress is None:
        return None
    jumps = spikes(progress)
    lost = [spike for spike in jumps if spike.back < 0]
    if not progress.has_fallen and apart(progress.start, progress.end):
        words = f"climbs from {progress.start.value:.3g} to {progress.end.value:.3g}"
        return climbing_since(run)[0], f"the loss {words}", True
    if progress.is_lost:
        step = lost[0].step if lost else lost_since(progress)[0]
        return (
            step,
            f"the loss goes from {progress.best.value:.3g} to {progress.end.value:.3g}",
            True,
        )
    if jumps:
        worst = max(jumps, key=lambda spike: spike.height - spike.before)
        back = f", until step {worst.back:,}" if worst.back >= 0 else ""
        return (
            worst.step,
            f"the loss jumps from {worst.before:.3g} to {worst.height:.3g}{back}",
            worst.back < 0,
        )
    if not progress.has_fallen:
        return losses[0][0], f"the loss never falls below {progress.best.value:.3g}", True
    return None
