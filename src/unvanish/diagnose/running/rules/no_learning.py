"""UV608: a healthy gradient, and nothing is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.alignment import Alignment, alignment_of
from unvanish.diagnose.running.course import end_of_numbers, need_not_fall, rows_of, when
from unvanish.diagnose.running.losses import Progress, progress_of


@final
@dataclass(frozen=True, kw_only=True)
class NoLearning:
    """The gradient is there and is a number, and the loss does not follow it down.

    ## What it measures
    How far the loss could have come: for every sampled step |gradient| |step|, the norms of the
    gradient and of what the optimiser really changed, added up over the run with each sample
    standing for the steps up to the next. To first order no step lowers the loss by more, so the
    sum bounds the whole fall.

    - Out of reach: the loss has not fallen beyond its noise, and the sum is below 1 %
      (`min_reach`) of the first loss (of its noise, where losses can be negative). The steps are
      too small for a run of this length, however right they are.
    - Without effect: the loss has not fallen although the sum is larger than the first loss, and
      the gradients of successive batches agree: their mean cosine stays above 0.1 (`min_cosine`)
      by two standard errors. There is a way down, and the steps do not take it.

    ## Why it hurts
    The run costs its time and comes to nothing.

    ## When it stays silent
    Once the loss has fallen; in the first 100 steps; while a warm-up still raises the learning
    rate; where gradients of successive batches have nothing in common (UV606); with several models
    that are trained against each other, with losses that change their sign from the first steps
    on, and with a network that acts between its steps (`answers`).

    ## False alarms
    A run that is taken up where all had been learned, at a learning rate next to nothing.
    Targets that move along with the network, as in self-distillation.

    ## What helps
    Out of reach: the factor for the learning rate in the help line. Without effect: see that the
    optimiser holds the parameters of the network that is called, that nothing sets them back
    after the step, and that the loss belongs to the output of this step.

    ## Source
    First order of the loss along a step (Cauchy-Schwarz); Goodfellow, Bengio and Courville
    (2016), section 4.3.
    """

    code: ClassVar[str] = "UV608"
    name: ClassVar[str] = "no-learning"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {StepQuantity.LOSS, StepQuantity.LOG10_GRAD_NORM, LayerQuantity.LOG10_UPDATE_RATIO}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["goodfellow2016"],)

    min_reach: float = 0.01
    min_cosine: float = 0.1
    min_steps: int = 100

    def examine(self, run: RunRecording) -> Verdict:
        """Compare how far the loss came with how far it could have come."""
        if reason := need_not_fall(run):
            return NotApplicable(reason)
        losses = run.over(StepQuantity.LOSS)
        if losses and end_of_numbers(run) <= losses[-1][0]:
            return NotApplicable("the loss is no number any more")
        progress = progress_of(run)
        if progress is None or len(progress.losses) < self.min_steps:
            return NotMeasured(f"the loss of {self.min_steps} steps")
        reach = reach_of(run)
        if math.isnan(reach) or not progress.scale > 0.0:
            return NotMeasured("gradient and step in three sampled steps")
        share = reach / progress.scale
        if not progress.has_fallen and share < self.min_reach and not _is_warming(run):
            return Found((self._out_of_reach(run, progress, share),))
        found = alignment_of(run)
        if (
            not progress.has_fallen
            and not progress.has_sunk
            and share > 1.0
            and found is not None
            and found.low > self.min_cosine
        ):
            return Found((self._without_effect(progress, found),))
        fell = "has fallen" if progress.has_fallen else "has not fallen"
        return Clear(
            max(0.0, math.log10(share / self.min_reach)) if share > 0.0 else 0.0,
            "decades",
            f"the loss {fell}; it could have by up to {share:.2g} times its first level",
        )

    def _out_of_reach(self, run: RunRecording, progress: Progress, share: float) -> Finding:
        first, last = progress.losses[0][0], progress.losses[-1][0]
        factor = 10.0 ** math.ceil(math.log10(0.1 / share)) if share > 0.0 else math.inf
        by = f"{factor:g} times" if math.isfinite(factor) else "many times"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"the steps are too small: in {last - first + 1:,} steps the loss could have "
            f"fallen by {100 * share:.2g} % of its first level, and has not",
            measured=share,
            expected=1.0,
            limit=self.min_reach,
            unit="of the first loss",
            causes=(Cause.LEARNING_RATE,),
            notes=when(first, -1, last, len(run.over(StepQuantity.LOG10_GRAD_NORM))),
            help=(f"try a learning rate {by} as large",),
            step=first,
        )

    def _without_effect(self, progress: Progress, found: Alignment) -> Finding:
        first, last = progress.losses[0][0], progress.losses[-1][0]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message="the gradients of successive batches agree (mean cosine "
            f"{found.mean:.2g}), the optimiser steps, and the loss does not fall",
            measured=found.low,
            expected=0.0,
            limit=self.min_cosine,
            unit="cosine, less two standard errors",
            causes=(Cause.DETACHED_GRAPH, Cause.LEARNING_RATE),
            notes=when(first, -1, last, found.samples),
            help=(
                "see that the optimiser holds the parameters of the network that is called, and "
                "that nothing sets them back after optimizer.step()",
            ),
            step=first,
        )


def reach_of(run: RunRecording) -> float:
    """Return the most by which the loss could have fallen over the run, to first order."""
    end = end_of_numbers(run)
    norms = {step: norm for step, norm in run.over(StepQuantity.LOG10_GRAD_NORM) if step < end}
    ratios = rows_of(run, LayerQuantity.LOG10_UPDATE_RATIO)
    sizes = rows_of(run, LayerQuantity.LOG10_PARAM_RMS)
    count = {layer.index: math.log10(max(1, layer.size)) for layer in run.layers}
    steps = sorted(norms.keys() & ratios.keys() & sizes.keys())
    if len(steps) < 3:
        return math.nan
    total = 0.0
    for step, following in zip(steps, [*steps[1:], end], strict=True):
        exponents = [
            2.0 * (ratio + sizes[step][i]) + count.get(i, 0.0)
            for i, ratio in ratios[step].items()
            if i in sizes[step] and math.isfinite(ratio + sizes[step][i])
        ]
        if exponents and math.isfinite(norms[step]):
            length = 0.5 * math.log10(sum(10.0 ** min(e, 300.0) for e in exponents) or 1e-300)
            total += 10.0 ** min(norms[step] + length, 300.0) * max(1, following - step)
    return total


def _is_warming(run: RunRecording) -> bool:
    """Tell whether the learning rate still rises."""
    rates = [rate for _, rate in run.over(StepQuantity.LEARNING_RATE)]
    return len(rates) > 1 and rates[-1] > rates[-2]
