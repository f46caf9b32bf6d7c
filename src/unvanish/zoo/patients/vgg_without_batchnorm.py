"""A small VGG whose batch normalisation was taken out, as beginners do with the original.

The convolutions keep PyTorch's default weights, which have a sixth of the variance that
ReLU needs. Twelve of them leave nothing of the image: the output is the same for every
input, and the loss stays at log 4.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    codes=("UV101",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV103", "UV401", "UV502"),
    cure="batch normalisation after every convolution",
    steps=300,
    variants={"width": (6, 16)},
    source="https://github.com/kuangliu/pytorch-cifar/issues/28",
)
GOAL = 0.8
HIGHER_IS_BETTER = True

LAYOUT = (1, 1, "M", 1, 1, 1, "M", 2, 2, 2, "M", 2, 2, 2, 2)


class VGG(nn.Module):
    """Convolutions of 3 x 3, now and then a pooling."""

    def __init__(self, width: int, batch_norm: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for item in LAYOUT:
            if isinstance(item, str):
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
                continue
            layers += [nn.Conv2d(channels, item * width, kernel_size=3, padding=1)]
            if batch_norm:
                layers += [nn.BatchNorm2d(item * width)]
            layers += [nn.ReLU(inplace=True)]
            channels = item * width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Map an image of 16 x 16 to 4 scores."""
        out = self.features(x)
        out = out.view(out.size(0), -1)
        scores: Tensor = self.classifier(out)
        return scores


def model(width: int = 8) -> nn.Module:
    """Build the network."""
    return VGG(width)


def cured(width: int = 8) -> nn.Module:
    """Build the network with batch normalisation."""
    return VGG(width, batch_norm=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1280 images."""
    images, labels, _ = glyphs(1280, 0)
    return in_batches(images, labels, size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train as the original is trained, without its schedule."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 images the training never sees."""
    images, labels, _ = glyphs(400, 1)
    return accuracy(model, images, labels)
