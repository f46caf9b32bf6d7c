"""UV404: a learning rate with which the loss explodes, or no weight moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Final, final

from unvanish.core.conditions import Optimizer, ProbeStep, RateTrial
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.flow import Flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.scores import scores_of
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.aftermath import (
    Aftermath,
    aftermath,
    change_of,
    last_loss,
    losses_of,
    rise_of,
)
from unvanish.diagnose.optimiser import (
    is_floor_lost,
    is_given,
    is_plain,
    trained,
)
from unvanish.diagnose.propagation import grown_together, growth_causes, judged_flow
from unvanish.diagnose.replacement import decades_replaced
from unvanish.diagnose.short_steps import CODE, NAME, ShortSteps
from unvanish.diagnose.starts import is_untrained

_FIRST_STEP_LONGEST: Final = frozenset({"RMSprop", "Adadelta"})
"""Optimisers whose first steps are longer than the later ones: they outgrow a bad start."""


@final
@dataclass(frozen=True, kw_only=True)
class LearningRate:
    """The learning rate makes the loss explode, or is too small to move any weight.

    ## What it measures
    A copy of the network takes a few steps with the user's own optimiser, and the loss of
    the same batch is read before and after, under the same random numbers. Four things are
    judged.

    The rise: log10 of the loss after the last probe step over the loss before the first. Under
    SGD, whose steps grow with the gradient, the highest loss on the way counts; Adam's first
    step often overshoots and the next ones come back. The limit is 4 decades (`max_rise`), or
    2 (`max_rise_if_replaced`) under SGD and where the steps change the weights by three times
    their own size or more (`replaced`), or a loss that is no number any more. A rise counts
    only where the steps change the weights by a third of their size (`changed`): a small change
    that multiplies a tiny loss is what a converged network does. For the same reason the rise
    is measured over |gradient| |weights|, what the weights' own size is worth, where the loss
    is less than a hundredth of that (`converged`).

    The destruction: what the steps took from a network that was fine. Between the output and
    the layer that gets least, 1.5 decades of gradient are lost that were not lost before
    (`max_gradient_taken`), and where the samples enter the last layer, the differences between
    them are a tenth of what they were (`max_differences_taken`). The loss tells nothing of it:
    a network that answers the same to everything has the loss of a good guess. Adam does not
    make up for it. After three steps with a gradient g and many with 10^-k g, the running size
    is g sqrt(3 / t), so that a step is whole again after 3 x 10^2k steps: 3000 for 1.5 decades,
    three times as long as its memory 1 / (1 - beta2) lasts. The second number keeps out
    layers that lose gradient for other reasons, such as a gate, or a batch normalisation beside
    them. Of 16 networks (MLPs, CNNs, GRU, LSTM, GPT, residual, pre- and post-norm, autoencoder,
    regression) under 14 settings each of Adam, SGD, momentum and RMSprop, 88 runs of 80 steps
    ended below half of their first loss. The one that came nearest lost 1.0 decades of gradient
    and 1.9 of differences. Of 88 feed-forward runs that stayed above nine tenths, 38 are beyond
    both limits. These runs set the limits too.

    The replacement: layers in a row that change by c times their size each multiply what passes
    through them by 1 + c each, along the way on which that comes to least. Past 2.6 decades
    (`max_decades_replaced`, a factor of 400), with a loss that is no lower than before the steps,
    little is left of the start, however far the loss has come back by then: Adam at 0.1 takes a
    convolutional network from 2.3 to 27 and back to 3, and there it stays. Nothing of the kind is
    said where a normalisation makes good for the size of the weights, nor of what a skip
    connection goes around. Of 153 runs of 21 networks of one to 34 layers without norms (Adam and
    RMSprop, rates of 0.01 to 0.3, 200 steps, digits), 40 went past the limit with a loss no lower;
    39 of them ended above three quarters of their first loss, one at 0.62 of it. The runs just
    below the limit are of both kinds, from a fifth up. These runs set the limit. Of 44 more on
    other tasks (autoencoders, regressions, wider and narrower convolutions), 9 went past it: 7
    ended above eight tenths of their first loss, and two autoencoders at the three tenths that a
    constant answer comes to.

    The comparison: where a probe step takes the loss a twentieth above the first one, copies of the
    network take 30 steps on the batches at hand, at the learning rate and at a tenth of it
    (networks of up to 20 million parameters). A tenth of the rate has a tenth of the way to go on,
    so that a rate that is right leads. If it is still above 0.8 of its loss (`min_share_at_rate`)
    where the tenth is below one half (`max_share_at_tenth`), or above 0.65 of it
    (`min_share_if_tenth_is_low`) where the tenth is below a quarter (`low_share_at_tenth`), it is
    not time that is missing. What counts as its loss is no more than that of equal probabilities,
    where a classifier's first answers were worse. Batches this few can be learned by heart, a low
    hurdle that the rate does not take. If it does, the tenth must be ahead by a factor of ten
    (`min_lead`), and the layers replaced by more than 2 decades (`max_decades_replaced_if_outdone`)
    with a loss that is no lower after the probe steps. Both are said of untrained networks alone,
    whose matrices are as PyTorch draws them or which have a vector of zeros or ones: a step that is
    too long for the bottom of a valley throws a trained one up, and it comes back. Nor are they
    said under RMSprop and Adadelta, whose first steps are longer than the later ones.

    With a momentum of 0.99 or more (`heavy_momentum`; the first beta of Adam and its kin) the steps
    of the probe are over before it has gathered speed, in 1 / (1 - momentum) steps. Copies take 150
    steps (networks of up to 2 million parameters), one of them at the rate that adds up to what the
    user's would with 0.9.

    Stacks of six or more sums that are normalised before anything else uses them (post-norm
    transformers of up to 2 million parameters) sink without a rise of the loss, and slowly: their
    copies take 60 steps (`steps_of_long_trial`) whatever the probe steps say, and as many more
    where the tenth is ahead by less than is asked for. It is enough that the tenth is below 0.8 of
    the loss at the rate (`max_share_of_rate`). An encoder of 6
    layers on the rows of digits (Adam, seed 0) ended 300 steps at 0.26, 0.08, 0.04 and 0.90 of its
    first loss at 3e-4, 1e-3, 3e-3 and 1e-2, and the last one is found. With 10 layers 3e-3 ended
    at 0.92 and is not: nothing is learnt at a tenth in 60 steps either. Four of other people's
    networks that were known to fail for this reason ended the 60 steps at 0.95 to 0.99, and at a
    tenth at 0.02 to 0.75.

    Of 84 runs of six networks on digits (MLPs with ReLU and tanh, CNN with batch normalisation
    and without, GRU, post-norm encoder) under Adam, SGD and momentum, 25 rose in the probe steps.
    7 of them are beyond the first pair of limits. After 200 steps on fresh batches they had no
    finite loss or 0.82 to 1.03 of the first one, and a tenth of the rate 0.09 to 0.36. Of the
    other 18, two ended above 0.8. Of 56 more under Adam at 0.03 to 0.2, seven networks on a
    single batch, 16 are beyond one of the two pairs; they ended at 0.71 to 1.35 of their first
    loss, and a tenth of the rate at 0.15 to 0.29. These runs set the limits.

    The stillness: the largest relative change of a weight in the first step, times what
    momentum makes of it in time, 1 / (1 - momentum). Biases and gains count only where the
    optimiser holds nothing else: a bias that starts near zero moves by a large part of itself
    in a network that does not move. The limit is a millionth
    (`min_update_ratio`): a million steps in one direction to change a weight by its own size.
    It is a hundred-thousandth (`min_update_ratio_of_budget`) where the loss says so too: where
    a hundred thousand steps (`budget`), each of which lowers it as the gradient promises for
    the first one, do not take off all of it. Below 2^-24, half the distance between 1 and the
    next float32, a weight stays where it is, and the finding is an error. It counts only where
    the gradient is fine: above eps for Adam and its kin, and 1e-4 of the weights
    (`min_relative_gradient`) for the others, and where the learning rate promises no more
    either.

    The slowness: where no matrix changes by more than 5e-4 of itself in the first step
    (`min_update_ratio_if_rescaled`), 1e-4 under SGD (`min_update_ratio_if_slow`), whose steps
    grow as a network learns, or 5e-3 under Adagrad (`min_update_ratio_if_waning`), whose steps
    become shorter, so that thousands of steps in one direction are what it takes, copies of the
    network take 30 steps at the learning rate and at a hundred times of it, or at the power of ten
    that lets a matrix change by 0.01 of itself in a step (a thousand times under Adadelta, whose
    own rate is 1), or at the root of that where the loss rises, and 150 where the higher rate takes
    ten times as much off the loss, and not yet enough. The rate is too small for a network whose
    matrices are as PyTorch draws them, two at least and half of all, if the loss is still above
    0.97 of what it was, and below 0.6 at the higher rate: it is not the gradient that is missing.
    At the rates of fine-tuning, up to 5e-5 under Adam
    and its kin (`largest_fine_rate`), matrices may change by 1.5e-3 (`min_update_ratio_if_fine`),
    and the losses have to be above 0.95 and below 0.1. Of 54 runs of
    five drawn networks (`benchmarks.drawn`, seeds 7000 to 7004; Adam, AdamW, SGD with and
    without momentum, from the right rate down to a thousandth of it) five are warned of. After
    1,600 steps they had come 0.24, 0.46, 0.72, 0.77 and 0.83 of the way from chance, where the
    right rate comes 0.94 to 1.00. Slower ones were missed there, where a hundred times was too
    little as well: hence the power of ten, which was not tried on these runs. A recurrent network
    that learns next to nothing in 30 steps at any rate is missed.

    The curvature, which explains the rise: the loss along the step is L + s t + c t^2 / 2,
    with s from the gradient and c from one reading of the loss. A quadratic rises where c / -s
    is above 2, which for gradient descent is the learning rate times the curvature. It gives
    the learning rate in the help line. It is a verdict under SGD alone: networks train at the
    edge of stability, and Adam's first step overshoots by far more on many that train well.
    Past 2 (`stable_curvature`) the loss rises by a constant factor a step as long as the
    curvature stays, and by less and less where the rise itself flattens it, as in the catapult
    of Lewkowycz and others. So without momentum, which gathers speed of its own, a rise is a
    warning where three steps in a row raise the loss, the last one by the largest factor, and
    by a quarter in all (`min_climb`). With it, too, past 4 (`max_curvature`), the 2 (1 +
    momentum) of a heavy ball, where the loss has doubled after steps that changed the weights
    by three times their size (`replaced`). Nothing else is: a convolutional network with batch
    normalisation went from 2.4 to 12.6 in two steps at five times the curvature that a
    quadratic can stand, and a residual one from 2.8 to 15; both came back, since what such
    weights gain in size their steps lose in length, and after 150 steps had a twentieth of
    their first loss.

    Of 30 networks (MLPs, CNNs, residual ones, transformers, RNN, LSTM and GRU, regressions,
    autoencoders, a SIREN) under 25 settings of SGD, momentum, Adam and RMSprop, 300 steps each,
    455 runs came more than half of the way of the best one. One of them is warned of, at 0.8
    of the way. Of the 218 that made less than a tenth of it, 87 are; most of the others are too
    slow, or have a loss that falls in every probe step and explodes later. The two conditions
    on a rise were chosen with these runs in view.

    The limits of the rise were set on 19 small networks (MLPs, CNN, LSTM, GPT, autoencoder,
    VAE, flow, SIREN, regressions) under SGD, momentum, Adam and RMSprop with learning rates
    from 1e-6 to 1000, each trained for 120 or 150 steps. Those that ended below half of their
    first loss rose by at most 1.3 decades in the probe steps with a cross-entropy and 3.1 with
    a squared error, whose decades count double; under SGD by at most 1.3 at any time. These
    networks set the limits and are no test of them, and no theory gives them.

    ## Why it hurts
    Weights thrown far out of their range saturate or kill units for good, even where the
    loss comes down again. Weights that do not move never learn.

    ## When it stays silent
    Where no optimiser was given: the assumed one is nobody's fault. On optimisers that climb
    (`maximize=True`), on losses that need not fall (a GAN's, a policy's) while the weights
    change by less than a third, and on the noise between batches, which is far below a decade.

    ## False alarms
    A schedule that starts at a learning rate of zero is a note when PyTorch's scheduler is
    attached. One that is set by hand in the training loop is not seen, so the optimiser may be
    shown at a rate that never acts, or that acts only when the network can bear it: the peak
    of a warm-up destroys many a network that has not been warmed up. Give the optimiser as it
    is at the first step where a rise is reported, and as it is after the warm-up where
    stillness is. Divergence that builds up over more than a few steps, as with momentum, is
    not seen here.

    ## What helps
    For a rise, the learning rate in the help line, a warm-up, or clipping by norm. For
    stillness, a larger one: 1e-3 for Adam, 0.1 for SGD are places to start.

    ## Source
    Lewkowycz and others (2020) for what happens between 2 and 4, and above;
    Cohen and others (2021) for sharpness times learning rate and the edge of stability.
    """

    code: ClassVar[str] = CODE
    name: ClassVar[str] = NAME
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lewkowycz2020"], SOURCES["cohen2021"])

    max_rise: float = 4.0
    max_rise_if_replaced: float = 2.0
    stable_curvature: float = 2.0
    max_curvature: float = 4.0
    min_climb: float = 1.25
    max_gradient_taken: float = 1.5
    max_differences_taken: float = 1.0
    max_decades_replaced: float = 2.6
    min_rise_of_note: float = 1.0
    changed: float = 1.0 / 3.0
    replaced: float = 3.0
    converged: float = 100.0
    min_share_at_rate: float = 0.8
    max_share_at_tenth: float = 0.5
    min_share_if_tenth_is_low: float = 0.65
    low_share_at_tenth: float = 0.25
    steps_of_long_trial: int = 60
    max_share_of_rate: float = 0.8
    min_lead: float = 10.0
    max_decades_replaced_if_outdone: float = 2.0
    heavy_momentum: float = 0.99
    short: ShortSteps = field(default_factory=ShortSteps)

    def examine(self, recording: Recording) -> Verdict:
        """Judge what the probe steps did to the loss and to the weights."""
        optimizer = recording.context.optimizer
        if not recording.parameters:
            return NotMeasured("the parameters and the loss around the probe steps")
        if optimizer is None or not is_given(recording):
            return NotApplicable("no optimiser was given; the learning rate of training is unknown")
        held = [p for p in trained(recording) if p.in_optimizer]
        if not held:
            return NotApplicable("the optimiser holds no parameter that a gradient reaches")
        if not recording.steps:
            return NotMeasured("the loss around the probe steps")
        before = recording.steps[0].loss_before
        broken = any(p.non_finite_fraction for p in held)
        if not math.isfinite(before) or broken:
            return NotMeasured("a finite loss and a finite gradient: see UV403")
        dtype = recording.context.autocast or recording.context.dtype
        still = self.short.stillness(optimizer, held, dtype, recording.steps[0])
        if still is not None:
            return Found((still,))
        if recording.steps[0].predicted_change > 0.0:
            return NotApplicable("the step is not made to lower this loss")
        plain, at_stake = is_plain(optimizer), self._at_stake(recording, held)
        rise = rise_of(recording.steps, peak=plain, at_stake=at_stake)
        if math.isnan(rise):
            return NotMeasured("the loss after the probe steps")
        if rise == math.inf and is_floor_lost(recording):
            return NotApplicable("eps is zero in float16 and a step divides by it: see UV401")
        change = change_of(recording, held)
        severity = self._severity(rise, change, plain=plain)
        if (
            plain
            and severity in {None, Severity.NOTE}
            and self._is_past_edge(recording, optimizer, change, at_stake)
        ):
            severity = Severity.WARNING
        if severity is None or severity is Severity.NOTE:
            taken = aftermath(recording)
            if self._is_destroyed(taken):
                return Found((self._destruction(recording, optimizer, taken),))
            replaced = self._replaced(recording, before)
            if replaced > self.max_decades_replaced:
                return Found((self._replacement(recording, optimizer, replaced),))
            trial = recording.trial
            if trial is not None and self._is_outdone(recording, trial):
                return Found((self._outdone(recording, optimizer, trial),))
            if trial is not None and self.short.are_taken(recording, optimizer, held, trial):
                return Found((self.short.slowness(optimizer, held, trial),))
        if severity is None:
            return self._clear(recording, optimizer, rise)
        return Found((self._finding(recording, optimizer, rise, change, severity),))

    def _is_past_edge(
        self, recording: Recording, optimizer: Optimizer, change: float, at_stake: float
    ) -> bool:
        """Tell whether gradient descent climbs a curve that it does not come down from."""
        ratio = recording.steps[0].curvature_ratio
        losses = [step.loss_before for step in recording.steps]
        losses.append(last_loss(recording.steps))
        start = max(abs(losses[0]), at_stake)
        if not start > 0.0:
            return False
        climbs = losses[-1] > self.min_climb * start and _accelerates(losses)
        if climbs and ratio > self.stable_curvature and not optimizer.momentum:
            return True
        thrown = change >= self.replaced and losses[-1] > 2.0 * start
        return thrown and ratio > self.max_curvature

    def _is_destroyed(self, taken: Aftermath) -> bool:
        return (
            taken.gradient_lost > self.max_gradient_taken
            and taken.differences_lost > self.max_differences_taken
        )

    def _at_stake(self, recording: Recording, held: list[Parameter]) -> float:
        """Return |gradient| |weights| where the loss is a small part of it, else 0."""
        fed = [p for p in held if p.rms >= 0.0 and not math.isnan(p.log10_grad_rms)]
        sizes = sum(p.rms**2 * p.size for p in fed)
        grads = sum(10.0 ** min(2.0 * p.log10_grad_rms, 300.0) * p.size for p in fed)
        at_stake = math.sqrt(sizes) * math.sqrt(grads)
        converged = at_stake > self.converged * abs(recording.steps[0].loss_before)
        return at_stake if converged else 0.0

    def _severity(self, rise: float, change: float, *, plain: bool) -> Severity | None:
        if rise == math.inf:
            return Severity.ERROR
        if rise <= self.min_rise_of_note or change < self.changed:
            return None
        if rise > self.max_rise:
            return Severity.ERROR
        lost = plain or change >= self.replaced
        return Severity.WARNING if lost and rise > self.max_rise_if_replaced else Severity.NOTE

    def _destruction(self, recording: Recording, optimizer: Optimizer, taken: Aftermath) -> Finding:
        first, steps = recording.steps[0], len(recording.steps)
        within = "one step takes" if steps == 1 else f"{steps} steps take"
        much = f"{taken.gradient_lost:.1f} decades" if taken.gradient_lost < math.inf else "all"
        alike = "the samples have become alike on the way: where they enter the last layer, "
        if taken.differences_lost < math.inf:
            alike += f"their differences have lost {taken.differences_lost:.1f} decades more"
            alike += " than before"
        else:
            alike += "no difference is left between them"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"at a learning rate of {optimizer.lr or 0.0:g} {within} {much} of its "
            "gradient from the layer that gets least",
            measured=taken.gradient_lost,
            expected=0.0,
            limit=self.max_gradient_taken,
            unit="decades",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                alike,
                *_rise_notes(recording, first, math.nan),
            ),
            help=_rise_help(optimizer, first),
        )

    def _replaced(self, recording: Recording, before: float) -> float:
        """Return the decades by which the layers were replaced, and to no good; else 0."""
        normalised = any("norm" in site.op for site in recording.signal_sites())
        if normalised or not last_loss(recording.steps) >= before:
            return 0.0
        return decades_replaced(recording)

    def _replacement(self, recording: Recording, optimizer: Optimizer, decades: float) -> Finding:
        first, steps = recording.steps[0], len(recording.steps)
        within = "one step replaces" if steps == 1 else f"{steps} steps replace"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"at a learning rate of {optimizer.lr or 0.0:g} {within} the layers one after "
            f"another: together they can pass on {10.0**decades:.2g} times as much as before",
            measured=decades,
            expected=0.0,
            limit=self.max_decades_replaced,
            unit="decades",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                "the loss is no lower after the steps than before, and little is left of the start",
                *_rise_notes(recording, first, math.nan),
            ),
            help=_rise_help(optimizer, first),
        )

    def _is_outdone(self, recording: Recording, trial: RateTrial) -> bool:
        """Tell whether an untrained network learns only at a tenth of the learning rate."""
        optimizer = recording.context.optimizer
        if optimizer is None or optimizer.name in _FIRST_STEP_LONGEST or trial.factor > 1.0:
            return False
        start = _start(recording, trial)
        learns = trial.loss_after_scaled < self.max_share_at_tenth * start
        if trial.steps >= self.steps_of_long_trial:
            learns |= trial.loss_after_scaled < self.max_share_of_rate * trial.loss_after
        stays = trial.loss_after > self._least(recording, trial) * start
        if not stays:
            far_behind = trial.loss_after > self.min_lead * trial.loss_after_scaled
            replaced = self._replaced(recording, recording.steps[0].loss_before)
            stays = far_behind and replaced > self.max_decades_replaced_if_outdone
        return learns and stays and is_untrained(recording)

    def _least(self, recording: Recording, trial: RateTrial) -> float:
        """Return the share of its loss that a learning rate which learns does not leave."""
        low = self.low_share_at_tenth * _start(recording, trial)
        is_low = trial.loss_after_scaled < low
        return self.min_share_if_tenth_is_low if is_low else self.min_share_at_rate

    def _outdone(self, recording: Recording, optimizer: Optimizer, trial: RateTrial) -> Finding:
        rate, share = optimizer.lr or 0.0, trial.loss_after / _start(recording, trial)
        after = f"at {trial.loss_after:.3g}" if share < math.inf else "no number"
        measured, limit, unit = share, self._least(recording, trial), "of the first loss"
        momentum = self._heavy_momentum(optimizer)
        part = f"{trial.factor:.2g}" if momentum else "a tenth"
        heavy = f" with a momentum of {momentum:g}" if momentum else ""
        message = (
            f"a learning rate of {rate:g}{heavy} learns next to nothing in {trial.steps} steps, "
            f"and {part} of it does"
        )
        if share <= limit:
            measured = self._replaced(recording, recording.steps[0].loss_before)
            limit, unit = self.max_decades_replaced_if_outdone, "decades"
            message = (
                f"a learning rate of {rate:g} replaces the layers one after another, and {part} "
                f"of it learns more in {trial.steps} steps"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=message,
            measured=measured,
            limit=limit,
            unit=unit,
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"from {trial.loss_before:.3g} the loss is {after} after {trial.steps} steps on "
                f"the batches at hand, and at {trial.loss_after_scaled:.3g} with {part} of the "
                "learning rate",
                *(
                    f"steps in one direction add up to {1.0 / (1.0 - momentum):.0f} times the "
                    "learning rate",
                )
                * bool(momentum),
                *_rise_notes(recording, recording.steps[0], math.nan),
            ),
            help=(
                *("lower the momentum to 0.9",) * bool(momentum),
                f"lower the learning rate, first to {rate * trial.factor:.1g}",
                "or warm it up over the first hundred steps: torch.optim.lr_scheduler.LinearLR",
            ),
        )

    def _heavy_momentum(self, optimizer: Optimizer) -> float:
        """Return the momentum where it is heavy, else 0."""
        momentum = optimizer.momentum or (optimizer.betas or (0.0,))[0]
        return momentum if self.heavy_momentum <= momentum < 1.0 else 0.0

    def _clear(self, recording: Recording, optimizer: Optimizer, rise: float) -> Clear:
        first, last = recording.steps[0], last_loss(recording.steps)
        count = len(recording.steps)
        return Clear(
            max(0.0, self.max_rise - max(0.0, rise)),
            "decades",
            f"{count} step{'s' if count > 1 else ''} of {optimizer} "
            f"take{'' if count > 1 else 's'} the loss from {first.loss_before:.3g} to {last:.3g}",
        )

    def _finding(
        self,
        recording: Recording,
        optimizer: Optimizer,
        rise: float,
        change: float,
        severity: Severity,
    ) -> Finding:
        first = recording.steps[0]
        top = max(losses_of(recording.steps)) if is_plain(optimizer) else last_loss(recording.steps)
        how = (
            "turns the loss into no number"
            if rise == math.inf
            else f"multiplies the loss by {top / abs(first.loss_before):.2g}"
            if first.loss_before
            else f"raises the loss from 0 to {top:.2g}"
        )
        steps = len(recording.steps)
        within = "in one step" if steps == 1 else f"within {steps} steps"
        limit = self.min_rise_of_note if severity is Severity.NOTE else self.max_rise
        measured, unit = rise, "decades"
        if severity is Severity.WARNING:
            limit = self.max_rise_if_replaced
            if rise <= limit:
                measured, limit = first.curvature_ratio, self.stable_curvature
                unit = "learning rate x curvature"
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"a learning rate of {optimizer.lr or 0.0:g} {how} {within}",
            measured=measured,
            expected=0.0,
            limit=limit,
            unit=unit,
            causes=_causes(recording, optimizer),
            notes=tuple(_rise_notes(recording, first, change)),
            help=_rise_help(optimizer, first),
        )


def _accelerates(losses: list[float]) -> bool:
    """Tell whether a loss rises at every step, and by the largest factor at the last."""
    if len(losses) < 4 or not all(a < b for a, b in pairwise([0.0, *losses])):
        return False
    *factors, last = (b / a for a, b in pairwise(losses))
    return last > max(factors)


def _causes(recording: Recording, optimizer: Optimizer) -> tuple[Cause, ...]:
    """Blame what lies before the learning rate, if anything does.

    Under gradient descent that is a gradient that grows from layer to layer. Growth by G
    decades puts 2 G into the curvature, which goes with the square of a layer's gradient;
    where a learning rate is too large by no more than that, it would do without the growth.
    """
    first, flow = recording.steps[0], judged_flow(recording)
    if is_plain(optimizer) and isinstance(flow, Flow) and first.curvature_ratio > 2.0:
        grown = max(grown_together(recording, flow), default=0.0)
        if grown > 1.0 and math.log10(first.curvature_ratio / 2.0) < 2.0 * grown:
            return (*growth_causes(recording, flow), Cause.LEARNING_RATE)
    return (Cause.LEARNING_RATE,)


def _rise_notes(recording: Recording, first: ProbeStep, change: float) -> Iterator[str]:
    losses = ["no number" if math.isinf(v) else f"{v:.3g}" for v in losses_of(recording.steps)]
    yield f"from probe step to probe step the loss is {', '.join(dict.fromkeys(losses))}"
    if math.isfinite(first.predicted_change):
        yield (
            f"a straight line along the gradient promises a change of {first.predicted_change:.2g} "
            "for the first step"
        )
    if first.curvature_ratio > 2.0:
        yield (
            f"along the first step the loss curves up {first.curvature_ratio / 2:.3g} times as "
            "much as a step that lowers a quadratic loss can stand"
        )
    if math.isfinite(change):
        yield f"the probe steps change the weights by {change:.2g} of their size"


def _rise_help(optimizer: Optimizer, first: ProbeStep) -> tuple[str, ...]:
    rate = optimizer.lr or 0.0
    if 2.0 < first.curvature_ratio < math.inf:
        lower = f"lower the learning rate to {rate / first.curvature_ratio:.1g} or less"
    else:
        lower = f"lower the learning rate, first to {rate / 10:.1g}"
    return (
        lower,
        "or warm it up over the first hundred steps: torch.optim.lr_scheduler.LinearLR",
        "and clip: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    )


def _start(recording: Recording, trial: RateTrial) -> float:
    """Return the loss that a trial begins from, or that of equal probabilities, if it is less."""
    return min([trial.loss_before, *(scores.chance for scores in scores_of(recording))])
