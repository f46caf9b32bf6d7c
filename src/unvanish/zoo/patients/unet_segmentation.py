"""A U-Net of three resolutions that finds glyphs in noisy images.

The skip connections carry most of the gradient, and the bottleneck gets a small share of
it. That is what they are for.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="U-Net",
    steps=260,
    variants={"width": (6, 12)},
    source="Ronneberger, Fischer and Brox (2015)",
)
GOAL = 0.7
HIGHER_IS_BETTER = True


class DoubleConv(nn.Sequential):
    """Two convolutions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(outside, outside, 3, padding=1),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Down twice, up twice."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.inc = DoubleConv(1, w)
        self.down1 = DoubleConv(w, 2 * w)
        self.down2 = DoubleConv(2 * w, 4 * w)
        self.up1 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.conv1 = DoubleConv(4 * w, 2 * w)
        self.up2 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.conv2 = DoubleConv(2 * w, w)
        self.outc = nn.Conv2d(w, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the logits of their masks."""
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x3 = self.down2(self.pool(x2))
        y = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
        y = self.conv2(torch.cat([x1, self.up2(y)], dim=1))
        logits: Tensor = self.outc(y)
        return logits


def model(width: int = 8) -> nn.Module:
    """Build the network."""
    return UNet(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 640 images and their masks."""
    images, _, masks = glyphs(640, 0)
    return in_batches(images, masks, size=32, seed=seed)


loss = nn.BCEWithLogitsLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the intersection over union on 100 images the training never sees."""
    images, _, masks = glyphs(100, 1)
    guess, truth = model(images) > 0, masks > 0.5
    return float((guess & truth).sum() / (guess | truth).sum().clamp(min=1))
