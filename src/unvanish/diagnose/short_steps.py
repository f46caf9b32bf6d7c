"""Steps that are too short: what UV404 says of a learning rate that moves nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from unvanish.core.conditions import Optimizer, ProbeStep, RateTrial
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.records import Parameter, Recording
from unvanish.diagnose.optimiser import FLOAT32_ROUNDING, floor_of, is_plain, is_slow
from unvanish.diagnose.starts import is_partly_untrained

CODE: Final = "UV404"
NAME: Final = "learning-rate"


@final
@dataclass(frozen=True, kw_only=True)
class ShortSteps:
    """Findings of stillness and of slowness; the page of UV404 says what they are.

    Attributes:
        min_update_ratio: Relative change of a weight in a step below which it stands still.
        min_update_ratio_of_budget: The same where `budget` steps do not take off the loss.
        budget: Number of steps that a training may have.
        min_relative_gradient: Of the weights, below which it is the gradient that is missing.
        min_update_ratio_if_slow: Relative change below which SGD's steps are short.
        min_update_ratio_if_rescaled: The same for Adam and its kin.
        min_update_ratio_if_waning: The same for Adagrad, whose steps become shorter in time.
        min_update_ratio_if_fine: The same for these at a rate that is usual for fine-tuning.
        largest_fine_rate: That rate.
        min_share_if_fine: Of the first loss, which has to be left there.
        max_share_if_fine: Of the first loss, below which the higher rate has to come there.
    """

    min_update_ratio: float = 1e-6
    min_update_ratio_of_budget: float = 1e-5
    budget: float = 1e5
    min_relative_gradient: float = 1e-4
    min_update_ratio_if_slow: float = 1e-4
    min_update_ratio_if_rescaled: float = 5e-4
    min_update_ratio_if_waning: float = 5e-3
    min_update_ratio_if_fine: float = 1.5e-3
    largest_fine_rate: float = 5e-5
    min_share_if_fine: float = 0.95
    max_share_if_fine: float = 0.1

    def stillness(
        self, optimizer: Optimizer, held: list[Parameter], dtype: str, step: ProbeStep
    ) -> Finding | None:
        """Return a finding where no weight moves, and the learning rate is why."""
        moving = [p for p in held if p.rms > 0.0 and math.isfinite(p.update_ratio)]
        fed = [p for p in moving if math.isfinite(p.log10_grad_rms) and not _underflows(p, dtype)]
        if not fed or len(moving) < len([p for p in held if p.rms > 0.0]):
            return None
        coasting = 1.0 / (1.0 - min(optimizer.momentum or 0.0, 0.99))
        most = _largest_change(optimizer, held)
        relative = max(p.log10_grad_rms - math.log10(p.rms) for p in fed)
        eps = floor_of(optimizer)
        largest = max(p.log10_grad_rms for p in fed)
        driven = relative >= math.log10(self.min_relative_gradient)
        promised = (optimizer.lr or 0.0) * 10.0**relative
        if eps is not None:
            driven = largest > math.log10(eps)
            promised = (optimizer.lr or 0.0) / min(p.rms for p in fed)
        ahead = -coasting * self.budget * step.predicted_change
        short = 0.0 <= ahead < abs(step.loss_before)
        limit = self.min_update_ratio_of_budget if short else self.min_update_ratio
        clipped = self._clipped_away(optimizer, fed, promised, most, limit)
        if clipped is not None:
            return clipped
        if promised > 100.0 * limit:
            return None  # the steps get lost somewhere else than in the learning rate
        if most >= limit or not (driven or optimizer.lr == 0.0):
            return None
        return Finding(
            code=CODE,
            name=NAME,
            severity=self._severity(optimizer, most),
            message=f"a learning rate of {optimizer.lr or 0.0:g} moves no weight"
            + (f": the largest change is {most:.1e} of a weight's size" if most else ""),
            parameters=tuple(p.name for p in _matrices(moving)),
            measured=most,
            limit=limit,
            unit="of the weight's size",
            causes=(Cause.LEARNING_RATE,),
            notes=tuple(_stillness_notes(optimizer)),
            help=(
                "raise the learning rate: 1e-3 for Adam and its kin, 0.1 for SGD are places "
                "to start",
                _schedule_help(optimizer),
            ),
        )

    def _clipped_away(
        self,
        optimizer: Optimizer,
        fed: list[Parameter],
        promised: float,
        most: float,
        limit: float,
    ) -> Finding | None:
        """Return a finding where the learning rate would do, and clipping leaves no step."""
        clip = optimizer.clip_grad_norm
        norm = math.sqrt(sum(10.0 ** (2.0 * p.log10_grad_rms) * p.size for p in fed))
        if not clip or not is_plain(optimizer) or not (most < limit <= promised):
            return None
        if promised * clip / norm >= limit:
            return None
        return Finding(
            code=CODE,
            name=NAME,
            severity=Severity.ERROR if most < FLOAT32_ROUNDING else Severity.WARNING,
            message=f"clipping the gradient to a norm of {clip:g} leaves no step: the largest "
            f"change is {most:.1e} of a weight's size",
            parameters=tuple(p.name for p in fed),
            measured=most,
            limit=limit,
            unit="of the weight's size",
            causes=(Cause.LEARNING_RATE,),
            notes=(f"the gradient's norm is {norm:.2g}, {norm / clip:.1g} times the limit",),
            help=("clip to 1: torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",),
        )

    def _severity(self, optimizer: Optimizer, most: float) -> Severity:
        if optimizer.unsteered:
            return Severity.ERROR
        if optimizer.initial_lr is not None and optimizer.initial_lr > (optimizer.lr or 0.0):
            return Severity.NOTE
        lost = bool(optimizer.lr) and most < FLOAT32_ROUNDING
        return Severity.ERROR if lost else Severity.WARNING

    def are_taken(
        self,
        recording: Recording,
        optimizer: Optimizer,
        held: list[Parameter],
        trial: RateTrial,
    ) -> bool:
        """Tell whether steps of an untrained network are short by their rate, and lead nowhere."""
        change = _largest_change(optimizer, held)
        if change < self._short_step(optimizer):
            is_outdone = is_slow(trial)
        else:
            is_outdone = (
                self._is_fine(optimizer)
                and change < self.min_update_ratio_if_fine
                and is_slow(
                    trial, min_share=self.min_share_if_fine, max_share=self.max_share_if_fine
                )
            )
        if not is_outdone:
            return False
        eps = floor_of(optimizer)
        is_held = is_plain(optimizer) and bool(optimizer.clip_grad_norm)
        if eps is not None:
            is_held = max(p.log10_grad_rms for p in _matrices(held)) <= math.log10(eps)
        return not is_held and is_partly_untrained(recording)

    def _is_fine(self, optimizer: Optimizer) -> bool:
        rate = optimizer.lr or 0.0
        return not is_plain(optimizer) and 0.0 < rate <= self.largest_fine_rate

    def _short_step(self, optimizer: Optimizer) -> float:
        if is_plain(optimizer):
            return self.min_update_ratio_if_slow
        if optimizer.name == "Adagrad":
            return self.min_update_ratio_if_waning
        return self.min_update_ratio_if_rescaled

    def slowness(self, optimizer: Optimizer, held: list[Parameter], trial: RateTrial) -> Finding:
        """Return the finding of steps that are too short to learn anything by."""
        rate, change = optimizer.lr or 0.0, _largest_change(optimizer, held)
        higher = rate * trial.factor
        is_warming = optimizer.initial_lr is not None and optimizer.initial_lr > rate
        is_fine = self._is_fine(optimizer)
        return Finding(
            code=CODE,
            name=NAME,
            severity=Severity.NOTE if is_warming else Severity.WARNING,
            message=f"a learning rate of {rate:g} learns next to nothing in {trial.steps} steps, "
            f"and {trial.factor:.0f} times as much does",
            measured=change,
            limit=max(
                self._short_step(optimizer),
                self.min_update_ratio_if_fine if self._is_fine(optimizer) else 0.0,
            ),
            unit="of the weight's size",
            causes=(Cause.LEARNING_RATE,),
            notes=(
                f"from {trial.loss_before:.3g} the loss is at {trial.loss_after:.3g} after "
                f"{trial.steps} steps on the batches at hand, and at {trial.loss_after_scaled:.3g} "
                f"with a learning rate of {higher:.2g}",
                f"{1.0 / change:,.0f} steps in one direction change a weight by its own size",
                *(("a rate for fine-tuning, under a network that was never trained",) * is_fine),
                *_schedule_notes(optimizer),
            ),
            help=(
                f"raise the learning rate: try {higher:.1g} and what lies between",
                "if a warm-up raises it, give the optimiser as it is afterwards",
            ),
        )


def _largest_change(optimizer: Optimizer, held: list[Parameter]) -> float:
    """Return the largest relative change of a weight in a step, with what momentum adds in time.

    Of vectors only where there is nothing else: a bias near zero moves by a large part of itself.
    """
    moving = [p for p in held if p.rms > 0.0 and math.isfinite(p.update_ratio)]
    coasting = 1.0 / (1.0 - min(optimizer.momentum or 0.0, 0.99))
    return coasting * max((p.update_ratio for p in _matrices(moving)), default=0.0)


def _matrices(moving: list[Parameter]) -> list[Parameter]:
    return [p for p in moving if len(p.shape) >= 2] or moving


def _underflows(parameter: Parameter, dtype: str) -> bool:
    """Tell whether half of a gradient is lost in its format: a matter of UV402."""
    return parameter.underflow_fraction.get(dtype, 0.0) > 0.5


def _stillness_notes(optimizer: Optimizer) -> Iterator[str]:
    yield "the gradient is there: it is the learning rate that makes the steps vanish"
    if optimizer.unsteered:
        yield (
            f"a scheduler took it down from {optimizer.initial_lr or 0.0:g}, and exists no more: "
            "an optimiser does not hold its scheduler, so nothing raises the rate again"
        )
        return
    yield from _schedule_notes(optimizer)


def _schedule_help(optimizer: Optimizer) -> str:
    if optimizer.unsteered:
        return "return the scheduler with the optimiser, and call scheduler.step() after its steps"
    return "if a warm-up raises it, give the optimiser as it is afterwards"


def _schedule_notes(optimizer: Optimizer) -> Iterator[str]:
    if optimizer.initial_lr is not None and optimizer.initial_lr > (optimizer.lr or 0.0):
        yield (
            f"a scheduler is attached that started from {optimizer.initial_lr:g}; if it raises "
            "the learning rate again, all is well"
        )
