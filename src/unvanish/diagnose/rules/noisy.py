"""UV405: a step is mostly noise, that of the batch or that of dropout."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.conditions import GradientNoise, ShortTraining
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.starts import is_untrained


@final
@dataclass(frozen=True, kw_only=True)
class NoisyUpdates:
    """The gradients of different batches hardly agree, or dropout drowns the signal.

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

    Dropout is noise of the same kind: what it leaves of a signal x is x with a variance of p / (1 -
    p) x^2 added, which multiplies from layer to layer. Where it takes more than half somewhere in
    an untrained network of up to two million parameters, two copies take 60 steps on the probe
    batches, one of them with nothing dropped, and the loss is read with nothing dropped. It is a
    warning where the first one is still above 0.97 of where it began (`max_share_learned`) and the
    other one below one half (`max_share_without`). Of 100 classifiers of digits (1 to 6 layers of
    64 to 256 ReLUs, with batch normalisation and without, p from 0.6 to 0.95, Adam and momentum),
    27 are beyond both limits. After 400 steps on fresh batches 23 of them were right in 0.10 to
    0.35 of all cases and four in 0.41 to 0.76; of the same twenty networks with p = 0.5 eighteen in
    0.83 or more. These runs set the limits.

    ## Why it hurts
    A learning rate that suits the true gradient throws the weights about. The rate that the
    noise allows takes ten times as many steps. Of a signal that heavy dropout leaves in one unit of
    ten, and in one of a hundred two layers on, nothing is heard in any batch.

    ## When it stays silent
    While only one batch of the user's own was given: batches that were invented say nothing
    of the data. Of dropout of one half and less, as of one that the network learns against.

    ## False alarms
    Much noise is normal late in training, in reinforcement learning, and with batches of a few
    samples, and training with a small enough learning rate goes on all the same. So the noise of
    batches is a note and never more. Three batches are few, and an estimate from them rough.

    ## What helps
    A larger batch, or gradients added up over several batches before a step, by the factor in
    the help line; or a smaller learning rate. Against dropout the remedy less-dropout: `nn.Dropout`
    takes the probability to drop a unit, where papers often write the one to keep it.

    ## Source
    McCandlish and others (2018), section 2: the gradient noise scale, which is the batch size
    divided by s. Srivastava and others (2014), section 10 and appendix A: dropout of units, and
    what share is usual.
    """

    code: ClassVar[str] = "UV405"
    name: ClassVar[str] = "noisy-updates"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["mccandlish2018"],
        SOURCES["srivastava2014"],
    )

    min_signal_to_noise: float = 0.1
    standard_errors: float = 4.3
    max_share_learned: float = 0.97
    max_share_without: float = 0.5

    def examine(self, recording: Recording) -> Verdict:
        """Judge the agreement of the batches' gradients, and what dropout leaves of a signal."""
        run = recording.training
        if run is not None and self._drowns(run) and is_untrained(recording):
            return Found((self._drowned(run),))
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

    def _drowns(self, run: ShortTraining) -> bool:
        """Tell whether a copy learned only where nothing was dropped."""
        return (
            run.loss_whole_after > self.max_share_learned * run.loss_whole_before > 0.0
            and run.loss_undropped < self.max_share_without * run.loss_whole_before
        )

    def _drowned(self, run: ShortTraining) -> Finding:
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"dropout takes up to {100 * run.dropped:.3g} % of a signal, and the rest is "
            "drowned: the network learns without it only",
            measured=run.loss_whole_after / run.loss_whole_before,
            expected=run.loss_undropped / run.loss_whole_before,
            limit=self.max_share_learned,
            unit="of the first loss",
            causes=(Cause.DROPOUT,),
            notes=(
                f"from {run.loss_whole_before:.3g} the loss is at {run.loss_whole_after:.3g} after "
                f"{run.steps} steps on the batches at hand, and at {run.loss_undropped:.3g} with "
                "nothing dropped",
            ),
            help=(
                "torch.nn.Dropout(p) takes the probability to drop a unit, not to keep it: "
                f"write {1.0 - run.dropped:.3g} in place of {run.dropped:.3g}",
            ),
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
