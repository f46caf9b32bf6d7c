"""Natural gradients by Kronecker factors, as the package curvlinops computes them."""

from __future__ import annotations

import copy
import importlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import MissingExtraError
from unvanish.observe.guard import untouched
from unvanish.treat.optimising.wrapper import Gradient, Treatment

PACKAGE: Final = "curvlinops"
INSTALL: Final = (
    "pip install curvlinops-for-pytorch   and, where that brings a torchvision which does not fit "
    "your PyTorch:   pip uninstall torchvision"
)


def operators() -> Any:
    """Import the package.

    Raises:
        MissingExtraError: If it is not installed, with the line that installs it.
    """
    try:
        with warnings.catch_warnings():  # about parts of PyTorch that it still uses
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise MissingExtraError(
            f"K-FAC needs the package curvlinops ({error})", help=INSTALL
        ) from None


@dataclass(eq=False)
class Kronecker(Treatment):
    """Multiply the gradient by the inverse of the damped Kronecker-factored Fisher matrix.

    Attributes:
        model: The network; the factors are computed anew where it stands.
        loss: What is minimised, as the package takes it.
        inputs: The batch that the factors are computed on.
        target: Its target.
        parameters: Weights and biases of linear layers and convolutions.
        damping: Added to the factors.
        every: Steps between two computations.
        kl_clip: Largest change of the predictions a step is to make, as a divergence.
        taken: Steps so far.
    """

    model: nn.Module
    loss: nn.Module
    inputs: Tensor
    target: Tensor
    parameters: tuple[nn.Parameter, ...]
    damping: float
    every: int
    kl_clip: float
    taken: int = 0
    changes_gradients = True
    _inverse: Any = field(default=None, repr=False)
    _rate: float = field(default=0.0, repr=False)

    def before(self, optimizer: torch.optim.Optimizer) -> None:
        """Note the learning rate."""
        self._rate = max(float(group["lr"]) for group in optimizer.param_groups)

    def treat(self, gradients: list[Gradient]) -> None:
        """Replace each gradient of a layer by the natural one, shortened to the divergence."""
        found = {id(one.parameter): one for one in gradients}
        if not all(id(p) in found for p in self.parameters):
            return
        if self._inverse is None or self.taken % self.every == 0:
            self._inverse = self._factors()
        self.taken += 1
        ours = [found[id(p)] for p in self.parameters]
        natural = self._inverse @ [one.values for one in ours]
        pairs = list(zip(ours, natural, strict=True))
        slope = sum(float((one.values * step).sum(dtype=torch.float64)) for one, step in pairs)
        change = self._rate**2 * slope
        factor = min(1.0, math.sqrt(self.kl_clip / change)) if change > 0.0 else 1.0
        for one, step in pairs:
            one.values.copy_(step * factor)

    def _factors(self) -> Any:
        package = operators()
        with untouched(self.model, seed=0), torch.enable_grad():
            factors = package.KFACLinearOperator(
                self.model,
                self.loss,
                list(self.parameters),
                [(self.inputs, self.target)],
                check_deterministic=False,
                fisher_type=package.FisherType.MC,
            )
            inverse = package.KFACInverseLinearOperator(
                factors, damping=self.damping, use_heuristic_damping=True
            )
            inverse @ [torch.zeros_like(p) for p in self.parameters]
        return inverse

    def state(self) -> dict[str, Any]:
        """Return the steps so far."""
        return {"taken": self.taken}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up the steps so far; the factors are computed anew."""
        self.taken, self._inverse = int(state["taken"]), None

    def __deepcopy__(self, memo: dict[int, Any]) -> Kronecker:
        twin = Kronecker(
            copy.deepcopy(self.model, memo),
            self.loss,
            self.inputs,
            self.target,
            copy.deepcopy(self.parameters, memo),
            self.damping,
            self.every,
            self.kl_clip,
        )
        memo[id(self)] = twin
        return twin

    def __repr__(self) -> str:
        return f"Kronecker(damping={self.damping:g}, every={self.every}, kl_clip={self.kl_clip:g})"
