"""An LSTM on sensor readings in their raw unit, hundreds of counts.

The readings enter all four gates, and a gate that sees some hundred is 0 or 1 and nothing in
between. The waves have three clearly different shapes; with the readings divided by their
standard deviation the same network tells them apart.
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
    family="LSTM",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV201", "UV203", "UV303", "UV301", "UV101", "UV102", "UV103", "UV404", "UV502"),
    cure="standardise the readings",
    steps=400,
    variants={"hidden": (32, 96)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True
CLIP_GRAD_NORM = 1.0

COUNTS = 800.0
OFFSET = 2000.0
STEPS = 30


class SensorLSTM(nn.Module):
    """Classify a recording by its shape."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=hidden, num_layers=1, batch_first=True)
        self.fc = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of sine, square and sawtooth."""
        out, _ = self.lstm(x)
        scores: Tensor = self.fc(out[:, -1, :])
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return SensorLSTM(hidden)


class Standardise(nn.Module):
    """Bring counts to mean 0 and standard deviation of about 1."""

    def forward(self, counts: Tensor) -> Tensor:
        """Subtract the offset and divide by the gain."""
        return (counts - OFFSET) / COUNTS


def cured(hidden: int = 64) -> nn.Module:
    """Build the network with the readings brought to unit scale first."""
    return nn.Sequential(Standardise(), SensorLSTM(hidden))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield recordings in counts."""
    for wave, shape in wave_shapes(seed, length=STEPS, size=64):
        yield OFFSET + COUNTS * wave, shape


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with shapes."""
    return F.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 300 new recordings; chance is a third."""
    wave, shape = next(wave_shapes(HELD_OUT, length=STEPS, size=300))
    return accuracy(model, OFFSET + COUNTS * wave, shape)
