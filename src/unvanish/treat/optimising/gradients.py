"""Treatments of the gradient: clipping in five ways, centring, and equal lengths of layers.

Norms are taken in float64: the norm of float32 entries of 1e20 is infinite in float32, and what
divides by it turns every gradient into zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.observe.statistics.magnitude import norm64
from unvanish.treat.optimising.wrapper import Gradient, Treatment

_TINY: Final = 1e-6
"""Added to a norm before it is divided by, as in `torch.nn.utils.clip_grad_norm_`."""


@dataclass(eq=False)
class ClipNorm(Treatment):
    """Shorten the gradient of all parameters together to a largest norm."""

    max_norm: float
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Multiply every gradient by the same factor, at most 1."""
        shorten(gradients, self.max_norm)


@dataclass(eq=False)
class ClipValue(Treatment):
    """Limit every entry of the gradient."""

    limit: float
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Cut entries off at the limit."""
        for one in gradients:
            one.values.clamp_(-self.limit, self.limit)


@dataclass(eq=False)
class ClipLayer(Treatment):
    """Shorten the gradient of every parameter by itself."""

    max_norm: float
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Multiply each gradient by a factor of its own, at most 1."""
        for one in gradients:
            shorten([one], self.max_norm)


@dataclass(eq=False)
class ClipPercentile(Treatment):
    """Shorten the gradient to a percentile of the norms seen so far."""

    percentile: float
    norms: list[float] = field(default_factory=list)
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Add this norm to the record and shorten to the percentile of all of them."""
        norm = float(total_norm(gradients))
        if not math.isfinite(norm):
            return
        self.norms.append(norm)
        limit = torch.tensor(self.norms, dtype=torch.float64).quantile(self.percentile / 100.0)
        if norm > float(limit):
            shorten(gradients, float(limit))

    def state(self) -> dict[str, Any]:
        """Return the norms so far."""
        return {"norms": list(self.norms)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up the norms so far."""
        self.norms = list(state["norms"])

    def __repr__(self) -> str:
        return f"ClipPercentile(percentile={self.percentile:g}, steps={len(self.norms)})"


@dataclass(eq=False)
class ClipUnits(Treatment):
    """Limit the gradient of every unit to a share of the unit's weights.

    Attributes:
        clipping: The share.
        eps: Smallest norm of a unit's weights that counts.
        axes: Parameters to treat, each with its axis over units; None where all entries are
            one unit.
    """

    clipping: float
    eps: float
    axes: tuple[tuple[Tensor, int | None], ...]
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Shorten the gradient of each unit that exceeds its share."""
        axis_of = {id(parameter): axis for parameter, axis in self.axes}
        for one in gradients:
            if id(one.parameter) not in axis_of or one.values.shape != one.parameter.shape:
                continue
            others = _all_but(one.values, axis_of[id(one.parameter)])
            weight = torch.linalg.vector_norm(one.parameter, dim=others, keepdim=True)
            largest = weight.clamp_min(self.eps) * self.clipping
            size = torch.linalg.vector_norm(one.values, dim=others, keepdim=True)
            one.values.mul_(torch.where(size > largest, largest / size, 1.0))

    def __repr__(self) -> str:
        return f"ClipUnits(clipping={self.clipping:g}, eps={self.eps:g}, weights={len(self.axes)})"


@dataclass(eq=False)
class Centralise(Treatment):
    """Take the mean over the inputs of a unit off its gradient.

    Attributes:
        axes: Weights to treat, each with its axis over units.
    """

    axes: tuple[tuple[Tensor, int], ...]
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Subtract from each unit's gradient its mean."""
        axis_of = {id(parameter): axis for parameter, axis in self.axes}
        for one in gradients:
            axis = axis_of.get(id(one.parameter))
            if axis is not None and one.values.shape == one.parameter.shape:
                one.values.sub_(one.values.mean(dim=_all_but(one.values, axis), keepdim=True))

    def __repr__(self) -> str:
        return f"Centralise(weights={len(self.axes)})"


@dataclass(eq=False)
class EqualLayers(Treatment):
    """Give the gradients of several layers one length, and leave that of all together.

    Attributes:
        parameters: The weights to treat.
    """

    parameters: tuple[Tensor, ...]
    changes_gradients = True

    def treat(self, gradients: list[Gradient]) -> None:
        """Scale each layer's gradient to the root mean square length of all of them.

        A gradient whose root mean square is below the smallest normal number of its type has
        lost digits; it stays as it is.
        """
        ids = {id(parameter) for parameter in self.parameters}
        ours = [one for one in gradients if id(one.parameter) in ids]
        norms = [norm64(one.values) for one in ours]
        clean = [
            (one, norm)
            for one, norm in zip(ours, norms, strict=True)
            if one.values.numel()
            and float(norm) / math.sqrt(one.values.numel()) > torch.finfo(one.values.dtype).tiny
            and math.isfinite(float(norm))
        ]
        if len(clean) < 2:
            return
        goal = math.sqrt(sum(float(norm) ** 2 for _, norm in clean) / len(clean))
        for one, norm in clean:
            scale_(one.values, goal / float(norm))

    def __repr__(self) -> str:
        return f"EqualLayers(weights={len(self.parameters)})"


def total_norm(gradients: Iterable[Gradient]) -> Tensor:
    """Return the Euclidean norm of several gradients together, in float64."""
    norms = [norm64(one.values) for one in gradients]
    if not norms:
        return torch.zeros((), dtype=torch.float64)
    together = torch.stack([norm.to(norms[0].device) for norm in norms])
    joint: Tensor = torch.linalg.vector_norm(together)
    return joint


def shorten(gradients: list[Gradient], max_norm: float) -> None:
    """Multiply gradients by the one factor that brings their norm down to a limit."""
    factor = torch.clamp(max_norm / (total_norm(gradients) + _TINY), max=1.0)
    for one in gradients:
        one.values.mul_(factor.to(one.values.device))


def scale_(values: Tensor, factor: float) -> None:
    """Multiply in place by a factor that may lie beyond the range of the tensor's type."""
    largest = torch.finfo(values.dtype).max
    while factor > largest:
        values.mul_(largest)
        factor /= largest
    values.mul_(factor)


def _all_but(values: Tensor, axis: int | None) -> tuple[int, ...]:
    """Return every axis but one."""
    return tuple(i for i in range(values.ndim) if i != axis)
