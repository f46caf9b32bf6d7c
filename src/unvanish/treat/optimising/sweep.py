"""A learning-rate range test: a copy is trained while the rate grows by a constant factor.

Source: Smith (2017).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.guard import untouched
from unvanish.observe.optimizer import copy_with_optimizer
from unvanish.treat.optimising.evaluation import loss_of
from unvanish.treat.optimising.exchange import optimizer_of, rate_of, shares_of
from unvanish.treat.protocol import Case

_TRIAL: Final = 50
"""Steps for which a rate has to hold."""
_HALVINGS: Final = 12
"""How often a rate is halved before it is given up."""

_DIVERGED: Final = 4.0
"""Times the lowest loss so far at which a sweep ends."""
_DRAWS: Final = 8
"""Forward passes over which the loss of a network that draws random numbers is averaged."""
_APART: Final = 0x105E
"""Distance of the seeds of these passes from those of the steps."""
_NEAR: Final = 3.0
"""Factor within which two learning rates are the same."""


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
        """Rate at which the loss fell fastest per decade of the rate, over five steps.

        What falls behind the lowest loss comes back from where a step has thrown it.
        """
        logs = [math.log(loss) if loss > 0.0 else loss for loss in self.losses]
        best, rate = 0.0, self.rates[0]
        lowest = min(range(len(logs)), key=lambda i: logs[i])
        for i in range(2, min(len(self.rates), lowest) - 2):
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
        low: First rate of the optimiser's first group that has one; others keep their ratio.
        high: Last rate.
        steps: Number of steps.

    Raises:
        UnvanishError: If the copy cannot be trained.
    """
    twin, optimizer = copy_with_optimizer(case.model, case.optimizer)
    groups = optimizer.param_groups
    shares = shares_of(optimizer)
    growth = (high / low) ** (1.0 / max(1, steps - 1))
    rates: list[float] = []
    losses: list[float] = []
    diverged = False
    seed = case.recording.context.seed
    try:
        with untouched(twin, seed=seed), torch.enable_grad():
            meter = _Meter(twin, case)
            for number in range(steps + 1):
                optimizer.zero_grad(set_to_none=True)
                loss = loss_of(twin, case, seed=seed + number)
                value = meter.read(float(loss.detach()))
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


@dataclass(frozen=True, slots=True)
class Held:
    """Learning rates that hold for some steps on a copy.

    Attributes:
        rates: Path of a module to the rate of its own parameters; ``""`` alone for all.
        halvings: How often they were halved for that.
        present: The optimiser's own rate where it holds, too; 0 where it does not.
    """

    rates: Mapping[str, float]
    halvings: int
    present: float

    @property
    def why_near(self) -> str:
        """Say that the present rate is as good as the one for all; empty where it is not."""
        rate = self.rates.get("", math.inf)
        if not rate / _NEAR <= self.present <= rate * _NEAR:
            return ""
        return (
            f"the learning rate is {self.present:.2g}, as good as {rate:.2g}, which is what it "
            f"would set: with it the loss falls over {_TRIAL} steps on a copy"
        )


def held_rates(case: Case, rates: Mapping[str, float]) -> Held | None:
    """Halve learning rates until they hold for some steps on a copy, and do no worse than now.

    One batch is used again and again, and what a network that draws random numbers learns of it
    is spoilt by noise at rates that hold there. So its rates are halved on for as long as the
    loss gets lower by that, and once more.

    Args:
        case: The network, its batch, loss and optimiser.
        rates: Path of a module to the rate of its own parameters; ``""`` alone for all.

    Returns:
        What holds; None where nothing does.
    """
    own = rate_of(optimizer_of(case))
    now = _trial(case, {"": own})[0] if own > 0.0 else math.inf
    present = own if now < math.inf else 0.0
    found: Held | None = None
    lowest = math.inf
    for halvings in range(_HALVINGS + 1):
        tried = {path: rate * 0.5**halvings for path, rate in rates.items()}
        loss, draws = _trial(case, tried)
        does_well = loss <= now and loss < math.inf
        if does_well:
            found = Held(tried, halvings, present)
        if not (does_well and draws and loss < lowest) and found is not None:
            break
        lowest = min(lowest, loss)
    return found


def _trial(case: Case, rates: Mapping[str, float]) -> tuple[float, bool]:
    """Return the loss after some steps, and whether the network draws random numbers.

    It is ``inf`` where the loss ends no lower than it began, or doubles on the way.
    """
    twin, optimizer = copy_with_optimizer(case.model, case.optimizer)
    everywhere = set(rates) == {""}
    place_of = {id(p): name.rpartition(".")[0] for name, p in twin.named_parameters()}
    made = []
    for group, share in zip(optimizer.param_groups, shares_of(optimizer), strict=True):
        for parameter in group["params"]:
            rate = rates[""] * share if everywhere else rates.get(place_of.get(id(parameter), ""))
            own = group["lr"] if rate is None else rate
            made.append({**group, "params": [parameter], "lr": own})
    optimizer.param_groups = made
    seed = case.recording.context.seed
    begun = math.inf
    with untouched(twin, seed=seed), torch.enable_grad():
        meter = _Meter(twin, case)
        for number in range(_TRIAL + 1):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(twin, case, seed=seed + number if meter.draws else seed)
            value = float(loss.detach())
            if number in (0, _TRIAL):
                value = meter.read(value)
            begun = value if number == 0 else begun
            if not math.isfinite(value) or value > begun + abs(begun):
                break
            if number == _TRIAL:
                return (value if value < begun else math.inf), meter.draws
            loss.backward()
            optimizer.step()
    return math.inf, meter.draws


class _Meter:
    """Reads the loss of a network; where it draws random numbers, on average over several passes.

    Every reading makes the same draws, so that two of them differ by the weights alone.

    Attributes:
        draws: Whether two passes of the network give two losses.
    """

    def __init__(self, model: nn.Module, case: Case) -> None:
        self._model, self._case = model, case
        self._seed = case.recording.context.seed + _APART
        with torch.no_grad():
            first, second = (self._loss(number) for number in range(2))
        self.draws = first != second and not (math.isnan(first) and math.isnan(second))

    def read(self, seen: float) -> float:
        """Return the loss.

        Args:
            seen: That of the pass which is made for the step anyway.
        """
        if not self.draws or not math.isfinite(seen):
            return seen
        with torch.no_grad():
            return sum(self._loss(number) for number in range(_DRAWS)) / _DRAWS

    def _loss(self, number: int) -> float:
        return float(loss_of(self._model, self._case, seed=self._seed + number))
