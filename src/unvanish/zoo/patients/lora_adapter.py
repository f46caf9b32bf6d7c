"""A frozen network with low-rank adapters, one matrix random and one zero, as usual.

The random matrix has a gradient of zero in the first step, and the frozen weights have
none at all. Both is meant.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="adapter",
    steps=300,
    variants={"rank": (2, 8)},
    source="Hu et al. (2022)",
)
GOAL = 0.3
HIGHER_IS_BETTER = False

WIDTH = 32


class LoRA(nn.Module):
    """A frozen linear layer and a low-rank correction."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float = 8.0) -> None:
        super().__init__()
        self.linear = linear
        self.linear.weight.requires_grad = False
        self.linear.bias.requires_grad = False
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        self.scaling = alpha / rank
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add the correction."""
        y: Tensor = self.linear(x) + self.scaling * self.up(self.down(x))
        return y


def pretrained() -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """Return the layers of the network to adapt, the same on every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)


def model(rank: int = 4) -> nn.Module:
    """Build the network with its adapters."""
    a, b, c = pretrained()
    return nn.Sequential(LoRA(a, rank), nn.GELU(), LoRA(b, rank), nn.GELU(), LoRA(c, rank))


@torch.no_grad()
def new_task(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs, and what the network would give had its layers moved a little."""
    a, b, c = pretrained()
    random = torch.Generator().manual_seed(7)
    for layer in (a, b):
        u, v = torch.randn(2, WIDTH, 2, generator=random)
        layer.weight += 0.15 * u @ v.T
    x = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
    return x, nn.Sequential(a, nn.GELU(), b, nn.GELU(), c)(x)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2048 samples of the new task."""
    return in_batches(*new_task(2048, 0), size=64, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step the adapters alone."""
    return torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 512 other samples."""
    return unexplained(model, *new_task(512, 1))
