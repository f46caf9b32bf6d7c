"""A wide ReLU layer in which one unit in ten answers to an image.

The biases start a little below zero and make the code sparse. Nine tenths of the
activations are zero, and nearly every unit answers to some image: sparse is not dead.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=150, variants={"width": (256, 768)})
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(width: int = 512) -> nn.Module:
    """Build the network."""
    coder = nn.Linear(64, width)
    nn.init.orthogonal_(coder.weight)
    with torch.no_grad():
        coder.weight.div_(coder.weight.norm(dim=1, keepdim=True))
        coder.bias.fill_(-1.2)
    return nn.Sequential(nn.BatchNorm1d(64, affine=False), Whiten(), coder, nn.ReLU(),
                         nn.Linear(width, 10))  # fmt: skip


class Whiten(nn.Module):
    """Brings each image to unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return nn.functional.layer_norm(x, x.shape[1:])


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=128, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
