"""A U-Net that lost its skip connections and has sigmoids between its convolutions.

With the skips every resolution has a short way to the loss. Without them the gradient
has to pass ten sigmoids and the bottleneck, and the masks come out as one flat grey.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="U-Net",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV401", "UV502"),
    cure="the skip connections, and ReLU",
    steps=120,
    variants={"width": (6, 12)},
    source="Ronneberger, Fischer and Brox (2015), taken apart",
)
GOAL = 0.7
HIGHER_IS_BETTER = True


class UNet(nn.Module):
    """Down by two poolings, up again by two interpolations."""

    def __init__(self, width: int, *, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        self.activate = F.relu if skips else torch.sigmoid
        w = width
        self.down1 = nn.ModuleList([nn.Conv2d(1, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)])
        self.down2 = nn.ModuleList(
            [nn.Conv2d(w, 2 * w, 3, padding=1), nn.Conv2d(2 * w, 2 * w, 3, padding=1)]
        )
        self.middle = nn.ModuleList(
            [nn.Conv2d(2 * w, 2 * w, 3, padding=1), nn.Conv2d(2 * w, 2 * w, 3, padding=1)]
        )
        extra = 2 if skips else 1
        self.up2 = nn.ModuleList(
            [nn.Conv2d(extra * 2 * w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)]
        )
        self.up1 = nn.ModuleList(
            [nn.Conv2d(extra * w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)]
        )
        self.mask = nn.Conv2d(w, 1, 1)

    def run(self, layers: nn.ModuleList, x: Tensor) -> Tensor:
        """Apply two convolutions."""
        for layer in layers:
            x = self.activate(layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the logits of their masks."""
        a = self.run(self.down1, x)
        b = self.run(self.down2, F.max_pool2d(a, 2))
        h = F.interpolate(self.run(self.middle, F.max_pool2d(b, 2)), scale_factor=2.0)
        h = self.run(self.up2, torch.cat([h, b], dim=1) if self.skips else h)
        h = F.interpolate(h, scale_factor=2.0)
        h = self.run(self.up1, torch.cat([h, a], dim=1) if self.skips else h)
        logits: Tensor = self.mask(h)
        return logits


def model(width: int = 8) -> nn.Module:
    """Build the network."""
    return UNet(width, skips=False)


def cured(width: int = 8) -> nn.Module:
    """Build it with skip connections and ReLU."""
    return UNet(width, skips=True)


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
