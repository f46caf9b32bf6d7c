"""What the patients are measured by: shares of right answers and of unexplained variance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the share of inputs whose largest score belongs to the right class."""
    device = next(model.parameters()).device
    guess = model(inputs.to(device)).argmax(dim=1).cpu()
    return float((guess == labels).float().mean())


@torch.no_grad()
def unexplained(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Return the mean squared error over the variance of the targets.

    1 is what the best constant reaches (each output its own), 0 is perfect.
    """
    device = next(model.parameters()).device
    error = (model(inputs.to(device)).cpu() - targets).square().mean()
    return float(error / (targets - targets.mean(dim=0)).square().mean())
