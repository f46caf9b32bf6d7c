"""A draw by ``torch.normal`` that hands its gradient on: noise of unit size, scaled and shifted.

PyTorch says that the derivative of ``torch.normal(mean, std)`` is zero. ``mean + std * noise``
is the same number, from the same random numbers, and has the gradient of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Moments:
    """What is drawn by, between the beginning and the end of a draw.

    Attributes:
        mean: Mean of the draw.
        std: Its standard deviation.
        is_parted: Whether noise of unit size is drawn, to be scaled and shifted behind it.
    """

    mean: Any = None
    std: Any = None
    is_parted: bool = False


class AroundZero(nn.Module):
    """Keeps the mean of a draw, and lets it be drawn around zero where the mean has a gradient.

    Args:
        moments: What the draw is made by.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.moments = moments

    def forward(self, mean: Any) -> Any:
        """Return zeros in the place of a mean with a gradient; anything else as it is."""
        self.moments.mean, self.moments.std = mean, None
        self.moments.is_parted = isinstance(mean, Tensor) and mean.requires_grad
        return torch.zeros_like(mean) if self.moments.is_parted else mean


class OfUnitSize(nn.Module):
    """Keeps the standard deviation of a draw, and lets noise of unit size be drawn.

    Args:
        moments: What the draw is made by.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.moments = moments

    def forward(self, std: Any) -> Any:
        """Return ones where the mean is shifted to; anything else as it is."""
        self.moments.std = std
        is_scaled = self.moments.is_parted and isinstance(std, Tensor)
        return torch.ones_like(std) if is_scaled else std


class Reparametrised(nn.Module):
    """A draw with the gradient of its mean and of its standard deviation.

    Args:
        moments: What the draw is made by.
    """

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self.moments = moments

    def forward(self, drawn: Tensor) -> Any:
        """Return the same numbers, with a gradient where there is one to have."""
        moments = self.moments
        mean, std, is_parted = moments.mean, moments.std, moments.is_parted
        moments.mean = moments.std = None
        moments.is_parted = False
        if is_parted:
            scaled = drawn.detach() * std if isinstance(std, Tensor) else drawn.detach()
            return scaled + mean
        if not (isinstance(std, Tensor) and std.requires_grad):
            return drawn
        value, size = drawn.detach(), std.detach()
        noise: Tensor = torch.where(size > 0.0, (value - mean) / size, 0.0)
        return value + noise * (std - size)
