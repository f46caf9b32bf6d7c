"""A ReLU RNN whose orthogonal recurrent matrix was scaled up by 2.

``orthogonal_(w, gain=2)`` looks like a stronger version of a good idea. A ReLU RNN has no
ceiling: the gradient grows by about 1.4 with every step back, 10^8 times over 60 steps, and the
first optimiser steps throw the weights away.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, sine_series

PATIENT = Patient(
    family="RNN",
    codes=("UV102",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV403", "UV404", "UV405", "UV202"),
    cure="gain 1 on the orthogonal matrix",
    steps=250,
    variants={"hidden": (32, 128)},
    source="Pascanu, Mikolov and Bengio (2013)",
)
GOAL = 0.05
HIGHER_IS_BETTER = False

LENGTH = 60


class WavePredictor(nn.Module):
    """Read a wave and predict the value after its end."""

    def __init__(self, hidden: int, gain: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, hidden, nonlinearity="relu", batch_first=True)
        self.readout = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=gain)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)

    def forward(self, wave: Tensor) -> Tensor:
        """Map ``(batch, time, 1)`` to the next value."""
        _, last = self.rnn(wave)
        prediction: Tensor = self.readout(last[-1])
        return prediction


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return WavePredictor(hidden, gain=2.0)


def cured(hidden: int = 64) -> nn.Module:
    """Build the network with a recurrence that neither grows nor shrinks."""
    return WavePredictor(hidden, gain=1.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield waves, and the one value that follows each."""
    for wave, following in sine_series(seed, length=LENGTH):
        yield wave, following[:, -1]


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return nn.functional.mse_loss(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean squared error on 256 new waves; a constant guess has 0.5."""
    wave, following = next(sine_series(HELD_OUT, length=LENGTH, size=256))
    return float(nn.functional.mse_loss(model(wave), following[:, -1]))
