"""A spiking network of three layers with a mild surrogate gradient.

Spikes are zeros and ones, most of them zeros, and their true derivative is zero everywhere. What
counts is the surrogate, an arctangent's slope, which lets enough through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="spiking network",
    steps=150,
    variants={"layers": (2, 4), "width": (64,)},
    source="Neftci, Mostafa and Zenke (2019); Fang and others (2021) for the arctangent",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class ATan(torch.autograd.Function):
    """A step whose derivative is taken to be that of an arctangent."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: float) -> Tensor:
        """Spike above zero."""
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x >= 0).float()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        """Multiply by the surrogate's slope."""
        (x,) = ctx.saved_tensors
        return grad[0] * ctx.alpha / 2 / (1 + (math.pi / 2 * ctx.alpha * x) ** 2), None


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons over ``(time, batch, units)``."""

    def __init__(self, tau: float = 2.0, threshold: float = 0.3) -> None:
        super().__init__()
        self.tau = tau
        self.threshold = threshold

    def forward(self, currents: Tensor) -> Tensor:
        """Return the spikes of every time step."""
        v = torch.zeros_like(currents[0])
        spikes = []
        for current in currents:
            v = v + (current - v) / self.tau
            spike = ATan.apply(v - self.threshold, 2.0)  # type: ignore[no-untyped-call]
            v = v * (1 - spike.detach())
            spikes.append(spike)
        return torch.stack(spikes)


class SpikingNet(nn.Module):
    """Linear layers with spiking neurons between them, decoded by rate."""

    def __init__(self, layers: int, width: int, time: int = 8) -> None:
        super().__init__()
        self.time = time
        parts: list[nn.Module] = []
        for i in range(layers):
            parts += [nn.Linear(64 if i == 0 else width, width), LIF()]
        self.body = nn.Sequential(*parts)
        self.readout = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Show the image for a few time steps and average the readout."""
        spikes = self.body(image.expand(self.time, -1, -1))
        scores: Tensor = self.readout(spikes).mean(dim=0)
        return scores


def model(layers: int = 3, width: int = 128) -> nn.Module:
    """Build the network."""
    return SpikingNet(layers, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    return accuracy(model, *held_out_digits())
