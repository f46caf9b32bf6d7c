"""Derivatives for steps that have none: what is computed stays, what is passed back does not."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


class _Passed(torch.autograd.Function):
    """An output as it is, with the gradient of another function by what made it."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, given: Tensor, window: float, slope: float) -> Tensor:
        """Return the output."""
        ctx.save_for_backward(given.abs() <= window if window > 0.0 else None)
        ctx.slope, ctx.shape = slope, given.shape
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient on to what was given, within the window."""
        (inside,) = ctx.saved_tensors
        grad = grads[0].sum_to_size(ctx.shape)
        if ctx.slope != 1.0:
            grad = grad * ctx.slope
        return None, grad if inside is None else grad * inside, None, None


class _PassedInwards(torch.autograd.Function):
    """A bounded output as it is, with a gradient that may bring it back from beyond the bounds."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, given: Tensor) -> Tensor:
        """Return the output."""
        ctx.save_for_backward(torch.sign(given - output).to(given.dtype))
        ctx.shape = given.shape
        return output.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradient on where the input is inside, or where descent leads inside."""
        (beyond,) = ctx.saved_tensors
        grad = grads[0]
        return None, (grad * (grad * beyond >= 0)).sum_to_size(ctx.shape)


class StraightThrough(nn.Module):
    """Called with (output, input) of a step: the output, with a gradient to the input.

    Args:
        window: Sizes of the input within which the gradient passes; 0 for all.
        slope: What the gradient is multiplied by.
    """

    def __init__(self, window: float = 0.0, slope: float = 1.0) -> None:
        super().__init__()
        self.window, self.slope = window, slope

    def forward(self, output: Tensor, given: Tensor) -> Tensor:
        """Return the output."""
        passed: Any = _Passed.apply
        return cast("Tensor", passed(output.detach(), given, self.window, self.slope))

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"window={self.window:g}, slope={self.slope:g}" if self.window else ""


class Inwards(nn.Module):
    """Called with (output, input) of a clamp: the output, with a gradient that leads inside."""

    def forward(self, output: Tensor, given: Tensor) -> Tensor:
        """Return the output."""
        passed: Any = _PassedInwards.apply
        return cast("Tensor", passed(output.detach(), given))
