"""Low-rank adapters on the queries and values of a frozen transformer, with a new head.

Where B starts at zero, A has no gradient at the first step, by design: after one step it has. The
frozen body is random here, where it would be downloaded otherwise; the adapters find enough in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="adapter",
    steps=250,
    variants={"rank": (2, 16), "layers": (1, 4)},
    source="microsoft/LoRA#59; Hu and others (2022)",
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class LoRA(nn.Module):
    """A frozen linear layer plus ``alpha / r * B A``."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float = 8.0) -> None:
        super().__init__()
        self.base = base
        self.base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))
        self.scaling = alpha / rank
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Add the low-rank part."""
        low = F.linear(F.linear(x, self.lora_a), self.lora_b)
        out: Tensor = self.base(x) + self.scaling * low
        return out


class Layer(nn.Module):
    """A pre-norm transformer layer with separate projections."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.query: nn.Module = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value: nn.Module = nn.Linear(dim, dim)
        self.dense = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Add attention and MLP."""
        y = self.norm1(x)
        q, k, v = (p(y).unflatten(-1, (4, -1)).transpose(1, 2) for p in self._projections())
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.dense(mixed)
        return x + self.mlp(self.norm2(x))

    def _projections(self) -> tuple[nn.Module, nn.Module, nn.Module]:
        return self.query, self.key, self.value


class Backbone(nn.Module):
    """A transformer over the rows of an image."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(8, dim)
        self.place = nn.Parameter(torch.randn(8, dim) * 0.5)
        self.layers = nn.Sequential(*(Layer(dim) for _ in range(layers)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, rows: Tensor) -> Tensor:
        """Return one vector for each image."""
        out: Tensor = self.norm(self.layers(self.embed(rows) + self.place)).mean(dim=1)
        return out


class Adapted(nn.Module):
    """The frozen backbone with adapters, and a head that is trained in full."""

    def __init__(self, layers: int, rank: int, dim: int = 48) -> None:
        super().__init__()
        self.backbone = Backbone(layers, dim).requires_grad_(False)
        for layer in self.backbone.modules():
            if isinstance(layer, Layer):
                layer.query = LoRA(nn.Linear(dim, dim), rank)
                layer.value = LoRA(nn.Linear(dim, dim), rank)
        self.head = nn.Linear(dim, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(batch, 8, 8)`` to class scores."""
        scores: Tensor = self.head(self.backbone(rows))
        return scores


def model(layers: int = 2, rank: int = 8) -> nn.Module:
    """Build the network."""
    return Adapted(layers, rank)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    return in_batches(*training_digits(8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step what is trainable."""
    return torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    return accuracy(model, *held_out_digits(8, 8))
