"""UV607: a loss that oscillates, stands still, or has lost what it gained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.alignment import alignment_of, cosines_of
from unvanish.diagnose.running.course import (
    end_of_numbers,
    lasting,
    named,
    need_not_fall,
    rows_of,
    sites_of,
    when,
)
from unvanish.diagnose.running.losses import Progress, apart, lost_since, progress_of

_SAME: Final = 0.999
_LONGEST: Final = 200


@final
@dataclass(frozen=True, kw_only=True)
class LossCourse:
    """The loss oscillates, never moves from its first level, or loses what it had gained.

    ## What it measures
    The loss of every step, as medians over windows that double in length at first and are a
    twentieth of the run later on, each with its standard error. Levels differ where they are 4
    standard errors apart: the least of twenty levels of pure noise stands about 2 below the first.
    The level at which a run begins is that of its first eight steps, and of twice as many as long
    as the next ones are no different.

    - Lost: the loss has fallen, and its last two levels stand more than half of the gain above the
      best one. The step is the first from which five losses in a row stand there.
    - Oscillating: in the second half of the run the loss does not fall, and the gradients of
      successive steps point against each other: with a mean cosine below -0.2 (`max_cosine`) where
      the correlation of successive losses (after taking out the trend) is below -0.5
      (`max_correlation`), or below -0.5 (`min_turn`) whatever the losses do. Descent with noisy
      gradients in a bowl of curvature c comes to rest at a mean cosine of -(rate c) / 2: at -0.5
      the typical step leaps over the lowest point, at -1 it is as high on the other side.
    - Stalled: the loss never fell, and the last layer answers every sample alike: a cosine of
      0.999 between samples, in the last three samples.

    A loss that stands still is no finding by itself. Whether it is at its floor cannot be told
    from the loss, and most runs end so.

    ## Why it hurts
    Steps that lead nowhere, for as long as the run goes on.

    ## When it stays silent
    With several models that are trained against each other, such as a GAN, and with losses that
    change their sign from the first steps on, such as those of policy gradients: they need not
    fall. Nor need that of a network which is asked, between most steps, for answers that it does
    not learn from (`answers`): an agent that acts. In the first 64 steps; where the loss is no
    number any more (UV603). On a loss that oscillates and falls, as full batches at the edge of
    stability do.

    ## False alarms
    Harder data in the course of the run (a curriculum), or a term of the loss that is faded in:
    `watch.loss(value)` says what shall count as the loss.

    ## What helps
    Lost: begin again from before the step with a smaller learning rate. Oscillating: half the
    learning rate. Stalled: `unvanish check`.

    ## Source
    Cohen and others (2021) for the edge of stability. The limits follow as told above.
    """

    code: ClassVar[str] = "UV607"
    name: ClassVar[str] = "oscillating-or-stalled-loss"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset({StepQuantity.LOSS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["cohen2021"],)

    max_correlation: float = -0.5
    max_cosine: float = -0.2
    min_turn: float = -0.5

    def examine(self, run: RunRecording) -> Verdict:
        """Judge the levels of the loss."""
        if reason := need_not_fall(run):
            return NotApplicable(reason)
        losses = run.over(StepQuantity.LOSS)
        if losses and end_of_numbers(run) <= losses[-1][0]:
            return NotApplicable("the loss is no number any more")
        progress = progress_of(run)
        if progress is None:
            return NotMeasured("the loss of 64 steps")
        if progress.is_lost:
            return Found((self._lost(progress),))
        swings = self._swings(run, progress)
        if swings is not None:
            return Found((swings,))
        alike = _alike(run)
        if alike and not progress.has_fallen:
            return Found((self._stalled(run, progress, alike),))
        lost = progress.end.value - progress.best.value
        share = lost / progress.gained if progress.has_fallen else 0.0
        return Clear(
            max(0.0, 0.5 - share),
            "of the gain",
            f"the loss goes from {progress.start.value:.3g} to {progress.end.value:.3g}",
        )

    def _lost(self, progress: Progress) -> Finding:
        step, sound = lost_since(progress)
        last = progress.losses[-1][0]
        lost = (progress.end.value - progress.best.value) / progress.gained
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if lost > 0.9 else Severity.WARNING,
            message=f"the loss has lost what it gained: {progress.end.value:.3g} at the end, "
            f"{progress.best.value:.3g} near step {progress.best.first:,}, "
            f"{progress.start.value:.3g} at first",
            measured=lost,
            expected=0.0,
            limit=0.5,
            unit="of the gain",
            causes=(Cause.LEARNING_RATE,),
            notes=when(step, sound, last, last - step + 1)[:1],
            help=(
                f"begin again from before step {step:,} with a smaller learning rate, or clip the "
                "gradient",
            ),
            step=step,
        )

    def _swings(self, run: RunRecording, progress: Progress) -> Finding | None:
        half = progress.losses[len(progress.losses) // 2 :]
        correlation = _correlation([value for _, value in half])
        found = alignment_of(run, since=half[0][0]) or alignment_of(run)
        levels = [level for level in progress.levels if level.first >= half[0][0]]
        falls = len(levels) > 1 and apart(levels[-1], levels[0])
        if falls or found is None:
            return None
        turns = found.high < self.min_turn
        if not turns and (correlation > self.max_correlation or found.high > self.max_cosine):
            return None
        since = lasting([(step, cosine < self.max_cosine) for step, cosine in cosines_of(run)])
        begin = half[0][0] if since is None else min(half[0][0], since.step)
        measured, limit, unit = correlation, self.max_correlation, "correlation"
        if correlation > self.max_correlation:
            measured, limit, unit = found.high, self.min_turn, "cosine, with two standard errors"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message="the loss swings from step to step and does not fall: successive losses have "
            f"a correlation of {correlation:.2f}, successive gradients a cosine of "
            f"{found.mean:.2f}",
            measured=measured,
            expected=0.0,
            limit=limit,
            unit=unit,
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"seen from step {begin:,} to step {half[-1][0]:,}: each step leaps over the "
                "lowest point",
            ),
            help=("halve the learning rate",),
            step=begin,
        )

    def _stalled(self, run: RunRecording, progress: Progress, alike: tuple[int, float]) -> Finding:
        layer, cosine = run.layers[alike[0]], alike[1]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"the loss stands at {progress.end.value:.3g} as at first, and "
            f"{named([layer])} answers every sample alike",
            sites=sites_of([layer]),
            measured=cosine,
            expected=0.0,
            limit=_SAME,
            unit="cosine between samples",
            causes=(Cause.DEPTH_WITHOUT_SKIP, Cause.LEARNING_RATE),
            notes=when(progress.losses[0][0], -1, progress.losses[-1][0], len(progress.losses)),
            help=("`unvanish check` on this network says where the samples become alike",),
            step=progress.losses[0][0],
        )


def _correlation(values: Sequence[float]) -> float:
    """Return the correlation of successive values around their running mean; 0 for few."""
    values = values[-_LONGEST:]
    if len(values) < 32:
        return 0.0
    around = [v - fmean(values[max(0, i - 8) : i + 9]) for i, v in enumerate(values)]
    mean = fmean(around)
    apart_ = [v - mean for v in around]
    energy = sum(v * v for v in apart_)
    if not energy > 0.0 or math.isinf(energy):
        return 0.0
    return sum(a * b for a, b in zip(apart_[1:], apart_[:-1], strict=True)) / energy


def _alike(run: RunRecording) -> tuple[int, float] | None:
    """Return the last layer with weights and its cosine between samples, where that is 1."""
    rows = rows_of(run, LayerQuantity.SAMPLE_COSINE)
    last = max((x.index for x in run.layers if x.parameters), default=-1)
    values = [rows[step][last] for step in sorted(rows) if last in rows[step]][-3:]
    if len(values) < 3 or min(values) <= _SAME:
        return None
    return last, values[-1]
