"""A WaveNet-like stack of ten dilated convolutions, with sigmoids and without skips.

Dilations from 1 to 32 let the top see far back. The sigmoids between them each pass a quarter of
the gradient at the most, and there is no residual path, which the original has for a reason.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, wave_shapes

PATIENT = Patient(
    family="TCN",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV401", "UV402", "UV502"),
    cure="ReLU and a residual connection around every layer",
    steps=150,
    variants={"channels": (16, 48), "layers": (8, 14)},
    source="van den Oord and others (2016), WaveNet",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class CausalConv(nn.Conv1d):
    """A convolution that sees no later step."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad on the left only."""
        return super().forward(F.pad(x, (self.dilation[0], 0)))


class TCN(nn.Module):
    """Dilated causal convolutions, then a classifier on the last step."""

    def __init__(self, layers: int, channels: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.lift = nn.Conv1d(1, channels, kernel_size=1)
        self.convs = nn.ModuleList(
            CausalConv(channels, channels, kernel_size=2, dilation=2 ** (i % 6))
            for i in range(layers)
        )
        self.head = nn.Linear(channels, 3)

    def forward(self, wave: Tensor) -> Tensor:
        """Map ``(batch, time, 1)`` to the scores of three shapes."""
        x = self.lift(wave.transpose(1, 2))
        for conv in self.convs:
            x = x + torch.relu(conv(x)) if self.residual else torch.sigmoid(conv(x))
        scores: Tensor = self.head(x[:, :, -1])
        return scores


def model(layers: int = 10, channels: int = 32) -> nn.Module:
    """Build the network."""
    return TCN(layers, channels, residual=False)


def cured(layers: int = 10, channels: int = 32) -> nn.Module:
    """Build the network with residual connections."""
    return TCN(layers, channels, residual=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield waves of 64 steps and their shapes."""
    return wave_shapes(seed, length=64)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with shapes."""
    return F.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 300 new waves; chance is a third."""
    return accuracy(model, *next(wave_shapes(HELD_OUT, length=64, size=300)))
