"""Low-rank adapters on a frozen network, both of whose matrices start at zero.

One of the two has to be zero, so that the network starts as it was. With both at zero
each one's gradient is a product with the other: zero, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="adapter",
    codes=("UV104",),
    cause=Cause.ZERO_INIT,
    also=("UV101", "UV501", "UV502"),
    cure="random numbers in A, zeros in B",
    steps=300,
    variants={"rank": (2, 8)},
    source="https://github.com/Guitaricet/relora/issues/18",
)
GOAL = 0.3
HIGHER_IS_BETTER = False

WIDTH = 32


class LoRALinear(nn.Module):
    """A frozen linear layer with a low-rank correction: W x + B A x."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.zeros(rank, base.in_features))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Add the correction."""
        y: Tensor = self.base(x) + x @ self.A.T @ self.B.T
        return y


def pretrained() -> list[nn.Linear]:
    """Return the layers of the network to adapt, the same on every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return [nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)]


def joined(a: nn.Module, b: nn.Module, c: nn.Module) -> nn.Module:
    """Join three layers with tanh."""
    return nn.Sequential(a, nn.Tanh(), b, nn.Tanh(), c)


@torch.no_grad()
def new_task(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs, and what the network would give had its first two layers moved a little."""
    layers, random = pretrained(), torch.Generator().manual_seed(7)
    for layer in layers[:2]:
        u, v = torch.randn(2, WIDTH, 2, generator=random)
        layer.weight += 0.1 * u @ v.T
    x = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
    return x, joined(*layers)(x) - joined(*pretrained())(x)


class Adapted(nn.Module):
    """What the adapted network gives beyond the frozen one."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.frozen = joined(*pretrained()).requires_grad_(False)
        a, b, c = pretrained()
        self.adapted = joined(LoRALinear(a, rank), LoRALinear(b, rank), c.requires_grad_(False))

    def forward(self, x: Tensor) -> Tensor:
        """Return the difference."""
        difference: Tensor = self.adapted(x) - self.frozen(x)
        return difference


def model(rank: int = 4) -> nn.Module:
    """Build the network with its adapters."""
    return Adapted(rank)


def cured(rank: int = 4) -> nn.Module:
    """Build it with random A."""
    net = Adapted(rank)
    for module in net.modules():
        if isinstance(module, LoRALinear):
            nn.init.normal_(module.A, std=WIDTH**-0.5)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2048 samples of the new task."""
    return in_batches(*new_task(2048, 0), size=64, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step the adapters alone."""
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the share of the change that is not yet learnt."""
    return unexplained(model, *new_task(512, 1))
