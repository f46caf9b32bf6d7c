"""UV606: updates that are noise from the first step to the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.running.alignment import Alignment, alignment_of, signal_of
from unvanish.diagnose.running.course import end_of_numbers, need_not_fall
from unvanish.diagnose.running.losses import progress_of


@final
@dataclass(frozen=True, kw_only=True)
class NoisyRun:
    """The gradients of successive batches do not agree, and the loss never fell.

    ## What it measures
    The cosine of the gradients of two successive steps, over the whole run. Two gradients that are
    the true one and independent noise of the same size have on average the cosine s / (1 + s),
    where s is the ratio of signal to noise of UV405, |G|^2 / tr(C) for one batch. The limit there
    is s = 0.1, which leaves a tenth of the step that the true gradient allows: a cosine of 0.09
    (`max_cosine`). It counts where the mean over the samples and two standard errors are below, and
    the mean is not as far below zero: gradients that point against each other swing (UV607).

    Where a step adds up several micro-batches, signal and noise are told apart within the step, by
    the norm of the first gradient and that of all (`signal_share`, which comes to s / (1 + s) too,
    s for all micro-batches together): the weights do not move in between, so that what a long step
    does to the cosine is no part of it.

    Noise alone is no sickness: every run comes to it, and a healthy run with batches of one or two
    samples shows cosines like these from the beginning and learns all the same. So the loss
    decides: it never came down, beyond its own noise, from the level of its first steps.

    ## Why it hurts
    Steps along noise are a random walk: nothing is learned, and the weights grow.

    ## When it stays silent
    Once the loss has fallen. With several models that are trained against each other.

    ## False alarms
    A run that is taken up again where all had been learned, with no way further down. So it is a
    note and never more.

    ## What helps
    Larger batches, or gradients added up over several of them; labels that belong to their inputs:
    shuffled labels look exactly like this.

    ## Source
    McCandlish and others (2018), section 2 and appendix A.
    """

    code: ClassVar[str] = "UV606"
    name: ClassVar[str] = "noise-from-the-start"
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]] = frozenset(
        {LayerQuantity.GRAD_ALIGNMENT, StepQuantity.LOSS}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["mccandlish2018"],)

    max_cosine: float = 0.09

    def examine(self, run: RunRecording) -> Verdict:
        """Judge the agreement of successive gradients where the loss does not fall."""
        if reason := need_not_fall(run):
            return NotApplicable(reason)
        if run.over(StepQuantity.LOSS) and end_of_numbers(run) <= run.last_step:
            return NotApplicable("the loss is no number any more")
        within = signal_of(run)
        found, progress = within or alignment_of(run), progress_of(run)
        if found is None:
            return NotMeasured("gradients of successive steps at eight samples")
        if progress is None:
            return NotMeasured("the loss of 64 steps")
        if (
            -self.max_cosine < found.mean
            and found.high < self.max_cosine
            and not progress.has_fallen
        ):
            return Found((self._finding(found, is_within=within is not None),))
        fell = "the loss has fallen" if progress.has_fallen else "the loss has not fallen"
        return Clear(
            abs(found.high - self.max_cosine),
            "cosine",
            (
                f"{found.mean:.2g} ± {found.error:.1g} of the squared gradient is signal"
                if within is not None
                else f"gradients of successive steps have a mean cosine of {found.mean:.2g} ± "
                f"{found.error:.1g}"
            )
            + f", and {fell}",
        )

    def _finding(self, found: Alignment, *, is_within: bool) -> Finding:
        share = min(max(found.mean, 0.0), 0.99)
        ratio = share / (1.0 - share)
        factor = f"{0.1 / ratio:.0f} times" if ratio > 0.001 else "many times"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=(
                "the gradients of the micro-batches of one step do not agree (share of signal "
                if is_within
                else "the gradients of successive batches do not agree (mean cosine "
            )
            + f"{found.mean:.2g}), and the loss has not fallen from its first level",
            measured=found.high,
            expected=0.5,
            limit=self.max_cosine,
            unit=f"{'share of signal' if is_within else 'cosine'}, with two standard errors",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"it is so from the first sample on, of step {found.first:,}; seen in "
                f"{found.samples} samples, to step {found.last:,}",
            ),
            help=(
                "make sure that every target belongs to its input",
                f"take {factor} as many samples a step, or add up gradients over several batches",
            ),
            step=found.first,
        )
