"""UV405: a batch's gradient is mostly noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.conditions import GradientNoise
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict


@final
@dataclass(frozen=True, kw_only=True)
class NoisyUpdates:
    """The gradients of different batches hardly agree, so most of a step is noise.

    ## What it measures
    The gradients of the user's own batches are compared at the same weights. If a batch's
    gradient is the true one, G, plus noise of covariance C, the mean inner product of two
    batches' gradients is |G|^2, and half the mean square of their difference is tr(C). Their
    ratio, the signal-to-noise ratio s, is free of the size of the loss.

    The best step along a noisy gradient is s / (1 + s) of the best step along the true one,
    and lowers the loss by the same fraction of what that would, if the curvature is the same
    in all directions. The limit of 0.1 (`min_signal_to_noise`) leaves a tenth. It counts only
    where the ratio stands 4.3 standard errors below the limit (`standard_errors`): the error is
    itself estimated from three batches, and 4.3 is the 97.5 % point of Student's t with two
    degrees of freedom. With two batches no error can be told, and nothing is ever found.

    ## Why it hurts
    A learning rate that suits the true gradient throws the weights about. The rate that the
    noise allows takes ten times as many steps.

    ## When it stays silent
    While only one batch of the user's own was given: batches that were invented say nothing
    of the data.

    ## False alarms
    Much noise is normal late in training, in reinforcement learning, and with batches of a
    few samples, and training with a small enough learning rate goes on all the same. So
    this is a note and never more. Three batches are few, and an estimate from them rough.

    ## What helps
    A larger batch, or gradients added up over several batches before a step, by the factor in
    the help line; or a smaller learning rate.

    ## Source
    McCandlish and others (2018), section 2: the gradient noise scale, which is the batch size
    divided by s.
    """

    code: ClassVar[str] = "UV405"
    name: ClassVar[str] = "noisy-updates"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["mccandlish2018"],)

    min_signal_to_noise: float = 0.1
    standard_errors: float = 4.3

    def examine(self, recording: Recording) -> Verdict:
        """Judge the agreement of the batches' gradients."""
        noise = recording.noise
        if noise is None:
            if recording.sites and recording.context.batches < 2:
                return NotApplicable("one batch tells nothing of the noise between batches")
            return NotMeasured("gradients of several batches that can be compared")
        ratio, error = noise.signal_to_noise, noise.standard_error
        if math.isnan(ratio):
            return NotMeasured("gradients of several batches that are numbers")
        highest = ratio + self.standard_errors * error
        if highest < self.min_signal_to_noise:
            return Found((self._finding(noise),))
        return Clear(
            max(0.0, ratio - self.min_signal_to_noise),
            "signal to noise",
            f"the gradients of {noise.parts} batches of {noise.samples} agree, "
            f"with a signal-to-noise ratio of {ratio:.2g}"
            + ("" if math.isnan(error) else f" ± {error:.1g}"),
        )

    def _finding(self, noise: GradientNoise) -> Finding:
        ratio, limit = noise.signal_to_noise, self.min_signal_to_noise
        share = max(0.0, ratio) / (1.0 + max(0.0, ratio))
        factor = f"{limit / ratio:.0f} times" if ratio > 0.01 * limit else "many times"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE,
            message=f"the gradients of {noise.parts} batches of {noise.samples} hardly agree: "
            f"the signal-to-noise ratio is {ratio:.2g}",
            measured=ratio,
            expected=1.0,
            limit=limit,
            unit="signal to noise",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"the best step along such a gradient brings {100 * share:.1g} % of what the true "
                f"gradient would; the standard error of the ratio is {noise.standard_error:.1g}",
                "this is normal late in training, and in reinforcement learning",
            ),
            help=(
                f"take {factor} as many samples a step, or add up gradients over several batches",
                "or lower the learning rate until the loss falls steadily",
            ),
        )
