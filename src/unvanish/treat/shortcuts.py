"""Modules that stand where a connection ends: they bring together what goes round and what not."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CONVOLUTIONS: Final[dict[int, Any]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Shortcut(nn.Module):
    """Brings the input of a block to the shape of its output.

    Where the shapes agree it is the identity. Channels are projected by a trained matrix, which
    starts orthogonal and so keeps lengths, or filled up with zeros. Positions are taken at the
    block's stride, cut at the edges where the block does not pad, and repeated where it
    enlarges.

    Args:
        entering: Channels of the input.
        leaving: Channels of the output.
        axes: Axes behind the channels.
        pad: Whether new channels are zeros rather than projected; only where there are more.
    """

    def __init__(self, entering: int, leaving: int, axes: int, *, pad: bool = False) -> None:
        super().__init__()
        self.axes = axes
        self.pad = leaving - entering if pad and leaving > entering else 0
        self.projection: nn.Module | None = None
        if entering != leaving and not self.pad:
            self.projection = _projection(entering, leaving, axes)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        """Return x in the shape of the block's output."""
        for axis in range(x.dim() - self.axes, x.dim()):
            x = _resized(x, axis, like.shape[axis])
        if self.pad:
            return F.pad(x, [0, 0] * self.axes + [0, self.pad])
        if self.projection is None:
            return x
        projected: Tensor = self.projection(x)
        return projected

    def extra_repr(self) -> str:
        """Say what it is where no projection shows it."""
        return f"pad={self.pad}" if self.pad else ("identity" if self.projection is None else "")


class Residual(nn.Module):
    """``shortcut(x) + scale * (F(x) - centre)``.

    Args:
        shortcut: Brings x to the shape of F(x).
        scale: Fixed factor of the block.
        centre: What is taken off the block's output.
    """

    def __init__(self, shortcut: Shortcut, scale: float = 1.0, centre: float = 0.0) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.scale = scale
        self.centre = centre

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the sum."""
        branch = output - self.centre if self.centre else output
        if self.scale != 1.0:
            branch = branch * self.scale
        around: Tensor = self.shortcut(x, output)
        return around + branch

    def extra_repr(self) -> str:
        """Say the factor."""
        return f"scale={self.scale:.4g}, centre={self.centre:.4g}"


class Scale(nn.Module):
    """``alpha * F(x)`` with a trained factor, one for all channels or one for each.

    Args:
        start: Value that training starts from.
        channels: Number of channels; 0 for a single factor.
        axes: Axes behind the channels.
    """

    def __init__(self, start: float, channels: int = 0, axes: int = 0) -> None:
        super().__init__()
        shape = (channels, *([1] * axes)) if channels else ()
        self.alpha = nn.Parameter(torch.full(shape, float(start)))

    def forward(self, output: Tensor) -> Tensor:
        """Return the scaled branch."""
        return output * self.alpha.to(output.dtype)


class ScaledResidual(nn.Module):
    """``shortcut(x) + alpha * (F(x) - centre)`` with a trained alpha.

    Args:
        shortcut: Brings x to the shape of F(x).
        scale: The factor.
        centre: What is taken off the block's output.
    """

    def __init__(self, shortcut: Shortcut, scale: Scale, centre: float = 0.0) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.scale = scale
        self.centre = centre

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the sum."""
        branch: Tensor = self.scale(output - self.centre if self.centre else output)
        around: Tensor = self.shortcut(x, output)
        return around + branch


class Highway(nn.Module):
    """``T * F(x) + (1 - T) * shortcut(x)`` with a trained gate ``T = sigmoid(gate(x))``.

    Args:
        shortcut: Brings x to the shape of F(x).
        entering: Channels of the input.
        leaving: Channels of the output.
        axes: Axes behind the channels.
        bias: Bias that the gate starts with; the more negative, the more goes round.
    """

    def __init__(
        self, shortcut: Shortcut, entering: int, leaving: int, axes: int, *, bias: float
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.gate = _mixing(entering, leaving, axes, bias=True)
        weight, offset = self.gate.weight, self.gate.bias
        nn.init.normal_(weight, std=1.0 / math.sqrt(entering))
        nn.init.constant_(offset, bias)

    def forward(self, output: Tensor, x: Tensor) -> Tensor:
        """Return the mixture."""
        axes = self.shortcut.axes
        near = x
        for axis in range(x.dim() - axes, x.dim()):
            near = _resized(near, axis, output.shape[axis])
        transform: Tensor = torch.sigmoid(self.gate(near))
        around: Tensor = self.shortcut(x, output)
        return transform * output + (1.0 - transform) * around


class Factor(nn.Module):
    """A fixed factor.

    Args:
        factor: The factor.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled signal."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Say the factor."""
        return f"factor={self.factor:.4g}"


class Shift(nn.Module):
    """A trained number that is added; it starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the shifted signal."""
        return x + self.bias.to(x.dtype)


def _mixing(entering: int, leaving: int, axes: int, *, bias: bool) -> Any:
    if not axes:
        return nn.Linear(entering, leaving, bias=bias)
    return _CONVOLUTIONS[axes](entering, leaving, 1, bias=bias)


def _projection(entering: int, leaving: int, axes: int) -> nn.Module:
    layer: nn.Module = _mixing(entering, leaving, axes, bias=False)
    for weight in layer.parameters():
        with torch.no_grad():
            flat = torch.empty(leaving, entering)
            nn.init.orthogonal_(flat, math.sqrt(max(1.0, leaving / entering)))
            weight.copy_(flat.reshape(weight.shape))
    return layer


def _resized(x: Tensor, axis: int, size: int) -> Tensor:
    """Bring one axis to a size: at a stride, cut at both edges, or repeated."""
    length = x.shape[axis]
    if length == size:
        return x
    if length < size:
        index = torch.arange(size, device=x.device) * length // size
        return x.index_select(axis, index)
    stride = max(1, round(length / size))
    if stride > 1:
        x = x.index_select(axis, torch.arange(0, length, stride, device=x.device))
        return _resized(x, axis, size) if x.shape[axis] != size else x
    return x.narrow(axis, (length - size) // 2, size)
