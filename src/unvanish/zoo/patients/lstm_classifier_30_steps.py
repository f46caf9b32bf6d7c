"""An LSTM as everybody writes it, which reads thirty values of a wave and names its shape.

The gradient loses several decades between the last step and the first, as it does in every LSTM
under PyTorch's default start. Thirty steps are short enough for that not to matter.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn as nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, wave_shapes

PATIENT = Patient(family="LSTM", steps=300, variants={"hidden_size": (32, 128), "num_layers": (1,)})
GOAL = 0.85
HIGHER_IS_BETTER = True


class LSTMClassifier(nn.Module):
    """Two LSTM layers and a linear layer on the last time step."""

    def __init__(self, input_size: int, hidden_size: int, num_layers: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return class scores."""
        out, _ = self.lstm(x)
        scores: torch.Tensor = self.fc(out[:, -1, :])
        return scores


def model(hidden_size: int = 64, num_layers: int = 2) -> nn.Module:
    """Build the network."""
    return LSTMClassifier(1, hidden_size, num_layers, classes=3)


def data(seed: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield noisy waves and their shapes."""
    return wave_shapes(seed, length=30, size=64)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 300 new waves; chance is a third."""
    return accuracy(model, *next(wave_shapes(HELD_OUT, length=30, size=300)))
