"""A learning-rate range test: a copy is trained while the rate grows by a constant factor.

Source: Smith (2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from unvanish.core.errors import UnvanishError
from unvanish.observe.guard import untouched
from unvanish.observe.optimizer import copy_with_optimizer
from unvanish.treat.optimising.evaluation import loss_of
from unvanish.treat.protocol import Case

_TRIAL: Final = 50
"""Steps for which a rate has to hold."""
_HALVINGS: Final = 12
"""How often a rate is halved before it is given up."""

_DIVERGED: Final = 4.0
"""Times the lowest loss so far at which a sweep ends."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Losses under a growing learning rate.

    Attributes:
        rates: Learning rate of each step.
        losses: Loss before each step, and one more after the last.
        diverged: Whether it ended because the loss rose.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    diverged: bool

    @property
    def fall(self) -> float:
        """Largest share of the first loss that was taken off; 0 where it never fell."""
        first = self.losses[0]
        return (first - min(self.losses)) / abs(first) if first else 0.0

    @property
    def steepest(self) -> float:
        """Rate at which the loss fell fastest per decade of the rate, over five steps."""
        logs = [math.log(loss) if loss > 0.0 else loss for loss in self.losses]
        best, rate = 0.0, self.rates[0]
        for i in range(2, len(self.rates) - 2):
            slope = logs[i + 3] - logs[i - 2]
            if slope < best:
                best, rate = slope, self.rates[i]
        return rate

    @property
    def lowest(self) -> float:
        """Rate of the step that led to the lowest loss."""
        at = min(range(len(self.losses)), key=lambda i: self.losses[i])
        return self.rates[max(0, at - 1)]


def range_test(case: Case, low: float, high: float, steps: int) -> Sweep:
    """Train a copy for some steps, from a small learning rate to a large one.

    Args:
        case: The network, its batch, loss and optimiser.
        low: First rate of the optimiser's first group; others keep their ratio to it.
        high: Last rate.
        steps: Number of steps.

    Raises:
        UnvanishError: If the copy cannot be trained.
    """
    twin, optimizer = copy_with_optimizer(case.model, case.optimizer)
    groups = optimizer.param_groups
    first = float(groups[0]["lr"])
    shares = [float(group["lr"]) / first if first > 0.0 else 1.0 for group in groups]
    growth = (high / low) ** (1.0 / max(1, steps - 1))
    rates: list[float] = []
    losses: list[float] = []
    diverged = False
    seed = case.recording.context.seed
    try:
        with untouched(twin, seed=seed), torch.enable_grad():
            for number in range(steps + 1):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(twin, case, seed=seed + number)
                value = float(loss.detach())
                losses.append(value if math.isfinite(value) else math.inf)
                if losses[-1] > _DIVERGED * max(min(losses), 0.0) and number:
                    diverged = True
                    break
                if number == steps:
                    break
                rates.append(low * growth**number)
                for group, share in zip(groups, shares, strict=True):
                    group["lr"] = rates[-1] * share
                loss.backward()
                optimizer.step()
    except UnvanishError:
        raise
    except Exception as error:
        raise UnvanishError(
            f"a copy could not be trained: {type(error).__name__}: {error}"
        ) from error
    return Sweep(tuple(rates), tuple(losses), diverged)


def held_rates(case: Case, rates: Mapping[str, float]) -> tuple[dict[str, float], int] | None:
    """Halve learning rates until they hold for some steps on a copy.

    Args:
        case: The network, its batch, loss and optimiser.
        rates: Path of a module to the rate of its own parameters; ``""`` alone for all.

    Returns:
        The rates, and how often they were halved; None where no such rate holds.
    """
    for halvings in range(_HALVINGS + 1):
        tried = {path: rate * 0.5**halvings for path, rate in rates.items()}
        if _hold(case, tried):
            return tried, halvings
    return None


def _hold(case: Case, rates: Mapping[str, float]) -> bool:
    twin, optimizer = copy_with_optimizer(case.model, case.optimizer)
    everywhere = set(rates) == {""}
    first = float(optimizer.param_groups[0]["lr"])
    place_of = {id(p): name.rpartition(".")[0] for name, p in twin.named_parameters()}
    made = []
    for group in optimizer.param_groups:
        share = float(group["lr"]) / first if first > 0.0 else 1.0
        for parameter in group["params"]:
            rate = rates[""] * share if everywhere else rates.get(place_of.get(id(parameter), ""))
            own = group["lr"] if rate is None else rate
            made.append({**group, "params": [parameter], "lr": own})
    optimizer.param_groups = made
    seed = case.recording.context.seed
    begun = math.inf
    with untouched(twin, seed=seed), torch.enable_grad():
        for number in range(_TRIAL + 1):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(twin, case, seed=seed)
            value = float(loss.detach())
            begun = value if number == 0 else begun
            if not math.isfinite(value) or value > begun + abs(begun):
                return False
            if number == _TRIAL:
                return value < begun
            loss.backward()
            optimizer.step()
    return False
