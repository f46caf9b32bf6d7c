"""A network that has already learnt its data by heart, to be trained on.

Its loss is a few ten-thousandths and its gradients are as small. Nothing is wrong with
it: there is nothing left to say.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=100, variants={"width": (48, 96)})
GOAL = 0.85
HIGHER_IS_BETTER = True


def known_digits() -> tuple[Tensor, Tensor]:
    """Return the 512 images that it was and will be trained with."""
    images, labels = training_digits()
    return images[:512], labels[:512]


def model(width: int = 64) -> nn.Module:
    """Build the network and train it, as if it came from a checkpoint."""
    net = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )
    images, labels = known_digits()
    adam = torch.optim.Adam(net.parameters(), lr=1e-2)
    with torch.enable_grad():
        for _ in range(150):
            adam.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            adam.step()
    net.zero_grad()
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the same images."""
    return in_batches(*known_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Go on with a smaller rate."""
    return torch.optim.SGD(model.parameters(), lr=0.01)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
