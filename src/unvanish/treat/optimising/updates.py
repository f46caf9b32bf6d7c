"""Treatments of the step itself: layer-wise trust ratios, a warm-up, a first step that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unvanish.observe.statistics.magnitude import norm64
from unvanish.treat.optimising.gradients import scale_
from unvanish.treat.optimising.wrapper import Gradient, Treatment


@dataclass(eq=False)
class TrustGradient(Treatment):
    """LARS: multiply the gradient of each weight by |w| / |gradient|, before SGD's momentum.

    Attributes:
        coefficient: The relative change of a weight at a learning rate of 1.
        parameters: The weights to treat.
    """

    coefficient: float
    parameters: tuple[Tensor, ...]
    changes_gradients = True
    _decays: dict[int, float] = field(default_factory=dict, repr=False)

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the weight decay, whose share the optimiser adds to the gradient."""
        self._decays = {
            id(p): float(group.get("weight_decay", 0.0))
            for group in optimizer.param_groups
            for p in group["params"]
        }

    def treat(self, gradients: list[Gradient]) -> None:
        """Scale gradient plus decay, and take off again the decay that the optimiser adds."""
        ids = {id(parameter) for parameter in self.parameters}
        for one in gradients:
            if id(one.parameter) not in ids or one.values.shape != one.parameter.shape:
                continue
            decay = self._decays.get(id(one.parameter), 0.0)
            weight, size = float(norm64(one.parameter.detach())), float(norm64(one.values))
            if not (weight > 0.0 and size > 0.0):
                continue
            ratio = self.coefficient * weight / (size + decay * weight)
            scale_(one.values, ratio)
            if decay:
                one.values.add_(one.parameter, alpha=decay * (ratio - 1.0))

    def __repr__(self) -> str:
        return f"TrustGradient(coefficient={self.coefficient:g}, weights={len(self.parameters)})"


@dataclass(eq=False)
class TrustUpdate(Treatment):
    """LAMB: give each weight's step the length coefficient times learning rate times |w|.

    Attributes:
        coefficient: The relative change of a weight at a learning rate of 1.
        parameters: The weights to treat.
    """

    coefficient: float
    parameters: tuple[Tensor, ...]
    _before: dict[int, Tensor] = field(default_factory=dict, repr=False)

    def before(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Keep the weights."""
        self._before = {id(p): p.detach().clone() for p in self.parameters if p.grad is not None}

    @torch.no_grad()
    def after(self, optimizer: torch.optim.Optimizer) -> None:
        """Scale what the optimiser has changed."""
        rates = {
            id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]
        }
        for parameter in self.parameters:
            old = self._before.get(id(parameter))
            if old is None:
                continue
            change = parameter.detach() - old
            weight, moved = float(norm64(old)), float(norm64(change))
            if weight > 0.0 and moved > 0.0 and id(parameter) in rates:
                scale_(change, self.coefficient * rates[id(parameter)] * weight / moved)
                parameter.copy_(old + change)
        self._before = {}

    def __repr__(self) -> str:
        return f"TrustUpdate(coefficient={self.coefficient:g}, weights={len(self.parameters)})"


@dataclass(eq=False)
class WarmUp(Treatment):
    """Let the learning rate grow in a straight line over the first steps.

    Attributes:
        steps: Steps until the whole learning rate acts.
        start: Share of it in the first step.
        taken: Steps so far.
    """

    steps: int
    start: float
    taken: int = 0
    _rates: list[tuple[dict[str, Any], Any]] = field(default_factory=list, repr=False)

    @property
    def factor(self) -> float:
        """Share of the learning rate that acts in the next step."""
        part = min(1.0, self.taken / max(1, self.steps))
        return self.start + (1.0 - self.start) * part

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Lower the learning rate for this step."""
        self._rates = [(group, group["lr"]) for group in optimizer.param_groups]
        for group, rate in self._rates:
            group["lr"] = rate * self.factor

    def after(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Put the learning rate back, for schedulers to go on from."""
        for group, rate in self._rates:
            group["lr"] = rate
        self._rates = []
        self.taken += 1

    def state(self) -> dict[str, Any]:
        """Return the steps so far."""
        return {"taken": self.taken}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up the steps so far."""
        self.taken = int(state["taken"])


@dataclass(eq=False)
class FirstStep(Treatment):
    """Let the first call of `step` move the weights, where an optimiser only prepares in it.

    SOAP spends it on its first eigenbasis. Gradients are lent as copies, since optimisers of
    that package write into them.
    """

    prepared: bool = False
    changes_gradients = True
    _optimizer: torch.optim.Optimizer | None = field(default=None, repr=False)

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Note which optimiser is to be prepared."""
        self._optimizer = optimizer

    def treat(self, gradients: list[Gradient]) -> None:
        """Let the optimiser prepare on these gradients, once."""
        if not self.prepared and gradients and self._optimizer is not None:
            self.prepared = True
            self._optimizer.step()

    def after(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Let go of the optimiser."""
        self._optimizer = None

    def state(self) -> dict[str, Any]:
        """Return whether the first step is over."""
        return {"prepared": self.prepared}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up whether the first step is over."""
        self.prepared = bool(state["prepared"])


@dataclass(eq=False)
class OwnGradients(Treatment):
    """Lend the optimiser copies of the gradients, since it writes into them."""

    changes_gradients = True
