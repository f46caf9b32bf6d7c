"""A method that was written for inference, with its `@torch.no_grad()`, used in training.

`embed` was copied from the code that serves the model. Its decorator switches the graph
off, and the layers inside are never trained.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV505",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV501", "UV502", "UV504"),
    cure="no decorator",
    steps=300,
    variants={"features": (5, 8)},
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class Encoder(nn.Module):
    """64 pixels to a few features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, features))

    @torch.no_grad()
    def embed(self, x: Tensor) -> Tensor:
        """Return the features."""
        return torch.tanh(self.layers(x))


class TrainableEncoder(Encoder):
    """The same, with a graph."""

    def embed(self, x: Tensor) -> Tensor:
        """Return the features."""
        return torch.tanh(self.layers(x))


class Net(nn.Module):
    """An encoder and a classifier."""

    def __init__(self, encoder: Encoder, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        scores: Tensor = self.classifier(self.encoder.embed(x))
        return scores


def model(features: int = 6) -> nn.Module:
    """Build the network."""
    return Net(Encoder(features), features)


def cured(features: int = 6) -> nn.Module:
    """Build it without the decorator."""
    return Net(TrainableEncoder(features), features)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
