"""A detector with an auxiliary head that this loss does not use.

The network gives masks and classes. This stage of the training fits the masks, and the
classifying head waits for the next one without a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient

PATIENT = Patient(family="CNN", steps=150, variants={"channels": (8, 16)})
GOAL = 0.6
HIGHER_IS_BETTER = True


class TwoHeads(nn.Module):
    """Shared convolutions, a head for masks and one for classes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(
            nn.Conv2d(1, channels, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 5, padding=2),
            nn.ReLU(),
        )
        self.mask_head = nn.Conv2d(channels, 1, 1)
        self.class_head = nn.Sequential(nn.Linear(channels, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return both answers."""
        h = self.shared(x)
        return {"mask": self.mask_head(h), "classes": self.class_head(h.amax(dim=(2, 3)))}


def model(channels: int = 10) -> nn.Module:
    """Build the network."""
    return TwoHeads(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 640 images and their masks."""
    images, _, masks = glyphs(640, 0)
    return in_batches(images, masks, size=32, seed=seed)


def loss(output: dict[str, Tensor], target: Tensor) -> Tensor:
    """Compare the masks."""
    return nn.functional.binary_cross_entropy_with_logits(output["mask"], target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step everything."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the intersection over union on 100 images the training never sees."""
    images, _, masks = glyphs(100, 1)
    guess, truth = model(images)["mask"] > 0, masks > 0.5
    return float((guess & truth).sum() / (guess | truth).sum().clamp(min=1))
