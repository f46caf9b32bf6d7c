"""A spiking network of six layers whose surrogate gradient is too steep.

A spike has no derivative, so one is made up: 1 / (1 + k |u|)^2 around the threshold. With
k = 100 it is close to zero for nearly every membrane potential; a gradient that has to pass
six such layers is gone, although the layers do spike. With k = 2 the same network learns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="spiking network",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV201", "UV202", "UV301", "UV401", "UV402", "UV502"),
    cure="a surrogate with k = 2",
    steps=200,
    variants={"layers": (8,), "width": (96,)},
    source="jeshraghian/snntorch#219; Zenke and Ganguli (2018)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Spike(torch.autograd.Function):
    """A step forwards, a fast sigmoid's slope backwards."""

    @staticmethod
    def forward(ctx: Any, potential: Tensor, k: float) -> Tensor:
        """Return 1 where the potential is above the threshold."""
        ctx.save_for_backward(potential)
        ctx.k = k
        return (potential > 0).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        """Scale the gradient by 1 / (1 + k |u|)^2."""
        (potential,) = ctx.saved_tensors
        return grad[0] / (1 + ctx.k * potential.abs()) ** 2, None


class SpikingMLP(nn.Module):
    """Leaky integrate-and-fire layers that see the same image for a few time steps."""

    def __init__(self, layers: int, width: int, k: float) -> None:
        super().__init__()
        self.k, self.threshold, self.decay, self.time = k, 0.5, 0.8, 6
        self.layers = nn.ModuleList(
            nn.Linear(64 if i == 0 else width, width) for i in range(layers)
        )
        self.readout = nn.Linear(width, 10)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Return the readout averaged over time."""
        potentials = [torch.zeros((), device=image.device)] * len(self.layers)
        total = torch.zeros((), device=image.device)
        for _ in range(self.time):
            x = image
            for i, layer in enumerate(self.layers):
                u = self.decay * potentials[i] + layer(x)
                x = Spike.apply(u - self.threshold, self.k)  # type: ignore[no-untyped-call]
                potentials[i] = u - self.threshold * x.detach()
            total = total + self.readout(x)
        return total / self.time


def model(layers: int = 6, width: int = 128) -> nn.Module:
    """Build the network."""
    return SpikingMLP(layers, width, k=100.0)


def cured(layers: int = 6, width: int = 128) -> nn.Module:
    """Build the network with a milder surrogate."""
    return SpikingMLP(layers, width, k=2.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    return in_batches(*training_digits(), size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    return accuracy(model, *held_out_digits())
