"""Eight recurrent layers on top of each other, each with a sigmoid as its activation.

Every time step has its own target, so time is not the trouble: the way down is. Each layer
passes at most a quarter of the gradient to the layer below and hands hardly any of the
signal up, and the top predicts the same value whatever the wave does.
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
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV301", "UV401", "UV402", "UV502"),
    cure="tanh cells and a skip connection past every layer",
    steps=150,
    variants={"layers": (6, 12), "hidden": (24, 64)},
    source="Hochreiter (1991)",
)
GOAL = 0.05
HIGHER_IS_BETTER = False


class RecurrentLayer(nn.Module):
    """``h_t = act(W x_t + U h_{t-1} + b)`` over a whole sequence."""

    def __init__(self, inputs: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.from_input = nn.Linear(inputs, hidden)
        self.from_past = nn.Linear(hidden, hidden, bias=False)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at every time step."""
        driven = self.from_input(x)
        h = torch.zeros_like(driven[:, 0])
        states = []
        for t in range(x.shape[1]):
            h = self.activation(driven[:, t] + self.from_past(h))
            states.append(h)
        return torch.stack(states, dim=1)


class DeepRNN(nn.Module):
    """A stack of recurrent layers that predicts the next value at every step."""

    def __init__(self, layers: int, hidden: int, activation: nn.Module, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.layers = nn.ModuleList(
            RecurrentLayer(1 if i == 0 else hidden, hidden, activation) for i in range(layers)
        )
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, 1)`` to the same shape, one step ahead."""
        for i, layer in enumerate(self.layers):
            y = layer(x)
            x = x + y if self.skip and i > 0 else y
        out: Tensor = self.head(x)
        return out


def model(layers: int = 8, hidden: int = 32) -> nn.Module:
    """Build the network with sigmoid cells."""
    return DeepRNN(layers, hidden, nn.Sigmoid(), skip=False)


def cured(layers: int = 8, hidden: int = 32) -> nn.Module:
    """Build the network with tanh cells and skip connections."""
    return DeepRNN(layers, hidden, nn.Tanh(), skip=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield waves of 12 steps and the same waves one step on."""
    return sine_series(seed, length=12)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean squared error on the second half of new waves; a constant has 0.5."""
    wave, following = next(sine_series(HELD_OUT, length=12, size=256))
    return float(((model(wave) - following)[:, 6:] ** 2).mean())
