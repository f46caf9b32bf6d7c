"""UV603: a loss or gradient that explodes, jumps, or is no number any more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotMeasured, Verdict
from unvanish.diagnose.running.course import (
    climbed,
    end_of_numbers,
    lasting,
    named,
    rate_events,
    sites_of,
    when,
)
from unvanish.diagnose.running.losses import Spike, apart, climbing_since, progress_of, spikes

_HELP = (
    "lower the learning rate, or let it rise over the first few hundred steps",
    "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step() bounds a step",
)


@final
@dataclass(frozen=True, kw_only=True)
class ExplodingInRun:
    """The loss is no number any more, the gradient grows without end, or the loss jumps.

    ## What it measures
    - The loss of every step. Where it is inf or nan to the end of the run, the run is lost; the
      step named is the one from which on the loss only climbed.
    - Gradients that are inf or nan in two samples in a row and up to the last, while the loss is a
      number. Steps that a loss scaler left out are UV609's.
    - The norm of the whole gradient, before clipping: the median of the last five samples stands 3
      decades (`max_grown_decades`) above the median of the first half, and the loss is no lower.
      Over the healthy runs of `results/runs.md` it moves by about one decade; where it grows as the
      loss falls it is no explosion.
    - A spike: the median loss of five steps stands three times as far above the 50 steps before
      as the largest loss among them, and undoes half of what the run had gained. One strange
      batch is none. A spike that healed is a note; one that left the loss above its first level
      is an error.

    All of this is free of the scale of the loss.

    ## Why it hurts
    One step along an exploded gradient throws the weights away, and no later step brings them back.

    ## When it stays silent
    While the loss stays below the level it began at, but for spikes; on small jumps such as Adam
    makes late in training.

    ## False alarms
    New data or a new loss in the middle of a run looks like a spike.

    ## What helps
    A smaller learning rate, a warm-up, clipping. `unvanish check` says which layers make the
    gradient grow.

    ## Source
    Pascanu, Mikolov and Bengio (2013); Wortsman and others (2024) on spikes.
    """

    code: ClassVar[str] = "UV603"
    name: ClassVar[str] = "exploding-in-the-run"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset({StepQuantity.LOSS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["pascanu2013"], SOURCES["wortsman2024"])

    max_grown_decades: float = 3.0

    def examine(self, run: RunRecording) -> Verdict:
        """Look for the end of numbers, growth and spikes, in this order."""
        losses = run.over(StepQuantity.LOSS)
        if not losses:
            return NotMeasured("the loss")
        end = end_of_numbers(run)
        if end <= losses[-1][0]:
            return Found((self._no_number(run, end),))
        broken = self._broken_gradient(run)
        if broken is not None:
            return Found((broken,))
        grown, first = _growth(run)
        progress = progress_of(run)
        if grown > self.max_grown_decades and climbed(losses):
            return Found((self._growth(run, grown, first),))
        jumps = spikes(progress) if progress is not None else []
        if jumps:
            return Found((self._spike(run, jumps),))
        return Clear(
            max(0.0, self.max_grown_decades - grown) if math.isfinite(grown) else math.inf,
            "decades" if math.isfinite(grown) else "",
            f"the loss is a number at all {len(losses):,} steps and never jumps"
            + (f"; the gradient's norm moves by {grown:+.1f} decades" if grown == grown else ""),
        )

    def _no_number(self, run: RunRecording, end: int) -> Finding:
        since, sound = climbing_since(run)
        since = min(since, end)
        notes = when(since, sound, run.last_step, max(1, run.last_step + 1 - since))
        if since < end:
            notes = (*notes, f"from step {since:,} to step {end - 1:,} it climbed")
        notes = (*notes, *_rates(run, since))
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the loss is no number from step {end:,} to the end",
            measured=math.inf,
            expected=0.0,
            limit=self.max_grown_decades,
            unit="decades",
            causes=(Cause.LEARNING_RATE,),
            notes=notes,
            help=(
                *_HELP,
                f"begin again from a checkpoint before step {since:,}: nothing after it is worth "
                "keeping",
            ),
            step=since,
        )

    def _broken_gradient(self, run: RunRecording) -> Finding | None:
        if run.over(StepQuantity.LOSS_SCALE):
            return None
        known = run.by_layer.get(LayerQuantity.NON_FINITE_GRAD_FRACTION)
        if known is None:
            return None
        samples = [
            (step, any(value > 0.0 for value in row))
            for step, row in zip(known.steps, known.rows, strict=True)
        ]
        found = lasting(samples, least=2)
        if found is None:
            return None
        row = known.rows[known.steps.index(found.last)]
        layers = [x for x in run.layers if x.index < len(row) and row[x.index] > 0.0]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the gradient of {named(layers)} is no number since step {found.step:,}",
            sites=sites_of(layers),
            measured=max(row[x.index] for x in layers),
            expected=0.0,
            limit=0.0,
            unit="fraction of the entries",
            causes=(Cause.LEARNING_RATE, Cause.PRECISION),
            notes=found.notes,
            help=(
                "torch.autograd.set_detect_anomaly(True) names the operation whose backward pass "
                "makes the first one",
            ),
            step=found.step,
        )

    def _growth(self, run: RunRecording, grown: float, first: tuple[int, int]) -> Finding:
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR,
            message=f"the gradient explodes: its norm has grown by {grown:.1f} decades, and the "
            "loss is no lower",
            measured=grown,
            expected=0.0,
            limit=self.max_grown_decades,
            unit="decades",
            causes=(Cause.LEARNING_RATE, Cause.INIT_TOO_LARGE),
            notes=when(first[0], first[1], run.last_step, 5),
            help=_HELP,
            step=first[0],
        )

    def _spike(self, run: RunRecording, jumps: list[Spike]) -> Finding:
        worst = max(jumps, key=lambda spike: (spike.back < 0, spike.height - spike.before))
        heals = worst.back >= 0
        progress = progress_of(run)
        is_lost = not heals and progress is not None and apart(progress.start, progress.end)
        severity = Severity.ERROR if is_lost else Severity.WARNING
        others = f"; {len(jumps)} such spikes in all" if len(jumps) > 1 else ""
        after = f"; it was back at step {worst.back:,}" if heals else "; it never came back"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if heals else severity,
            message=f"the loss jumped at step {worst.step:,}, from {worst.before:.3g} to "
            f"{worst.height:.3g}{after}{others}",
            measured=worst.height,
            expected=worst.before,
            limit=worst.limit,
            unit="loss",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"began at step {worst.step:,} (last sound step {worst.step - 1:,}); judged by the "
                "50 steps before and the five after",
                *_rates(run, worst.step),
            ),
            help=_HELP,
            step=worst.step,
        )


def _rates(run: RunRecording, step: int) -> tuple[str, ...]:
    """Return what happened to the learning rate shortly before a step."""
    near = [text for at, text in rate_events(run) if 0 <= step - at <= run.conditions.every]
    return tuple(f"shortly before: {text}" for text in near[-1:])


def _growth(run: RunRecording) -> tuple[float, tuple[int, int]]:
    """Return by how many decades the gradient has grown, and since when it stands a decade up."""
    norms = [
        (step, value)
        for step, value in run.over(StepQuantity.LOG10_GRAD_NORM)
        if math.isfinite(value)
    ]
    if len(norms) < 10:
        return math.nan, (-1, -1)
    usual = median(value for _, value in norms[: len(norms) // 2])
    grown = median(value for _, value in norms[-5:]) - usual
    found = lasting([(step, value > usual + 1.0) for step, value in norms], least=1)
    return grown, (found.step, found.sound) if found else (norms[-1][0], norms[-2][0])
