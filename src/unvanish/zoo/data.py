"""Data for the patients: real digits, or made from a seed. Nothing is downloaded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unvanish.core.errors import import_optional


def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 images of 64 pixels between 0 and 1, and their labels, shuffled once."""
    datasets: Any = import_optional("sklearn.datasets", extra="demo", purpose="the digits data")
    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return (torch.from_numpy(images).float() / 16)[order], torch.from_numpy(labels).long()[order]
