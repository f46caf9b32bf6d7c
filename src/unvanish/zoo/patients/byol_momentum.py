"""Self-supervised learning with a target network that follows the online one.

The target has no gradient: after every step it moves one percent of the way towards the
network that is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, training_digits
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="self-supervised",
    steps=300,
    variants={"width": (64, 128)},
    source="Grill et al. (2020)",
)
GOAL = 0.8
HIGHER_IS_BETTER = True


def mlp(inside: int, hidden: int, outside: int) -> nn.Sequential:
    """Return two layers with batch normalisation between them."""
    return nn.Sequential(
        nn.Linear(inside, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, outside)
    )


class BYOL(nn.Module):
    """Predict from one view of an image what the target makes of another."""

    def __init__(self, width: int, code: int = 5, momentum: float = 0.99) -> None:
        super().__init__()
        self.online = mlp(64, width, code)
        self.predictor = mlp(code, width, code)
        self.target = copy.deepcopy(self.online)
        self.target.requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def follow(self) -> None:
        """Move the target towards the online network."""
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.momentum)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return predictions and targets of both views."""
        if self.training:
            self.follow()
        predicted = torch.cat([self.predictor(self.online(a)), self.predictor(self.online(b))])
        with torch.no_grad():
            wanted = torch.cat([self.target(b), self.target(a)])
        return predicted, wanted


def model(width: int = 96) -> nn.Module:
    """Build the network."""
    return BYOL(width)


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield two noisy views of each image, some pixels hidden; there are no labels."""
    images, _ = training_digits()
    random = torch.Generator().manual_seed(seed)
    for rows in torch.randperm(len(images), generator=random).split(128)[:-1]:
        noise = 0.2 * torch.randn(2, 128, 64, generator=random)
        seen = torch.rand(2, 128, 64, generator=random) < 0.8
        a, b = (images[rows] + noise) * seen
        yield (a, b), torch.zeros(128)


def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    """Return how far the predictions point away from the targets."""
    del target
    predicted, wanted = output
    return 2 - 2 * F.cosine_similarity(predicted, wanted, dim=1).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step the online network and the predictor."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)


@torch.no_grad()
def metric(model: BYOL) -> float:
    """Return how often the nearest known code is of the same digit."""
    known, labels = training_digits()
    images, truth = held_out_digits()
    codes = F.normalize(model.online(known), dim=1)
    nearest = (F.normalize(model.online(images), dim=1) @ codes.T).argmax(dim=1)
    return float((labels[nearest] == truth).float().mean())
