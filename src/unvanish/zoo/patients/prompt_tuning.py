"""Prompt tuning: a frozen transformer, a few learnt tokens in front, and a learnt readout.

Nearly all parameters are frozen, and the gradient passes through all of them on its way to the
prompt. The body is random, where it would be downloaded otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, topics

PATIENT = Patient(
    family="adapter",
    steps=300,
    variants={"prompts": (2, 16)},
    source="Lester, Al-Rfou and Constant (2021)",
)
GOAL = 0.7
HIGHER_IS_BETTER = True


class PromptTuned(nn.Module):
    """Learnt prompt, frozen encoder, learnt readout of the first prompt token."""

    def __init__(self, prompts: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(200, dim)
        layer = nn.TransformerEncoderLayer(
            dim, 4, 2 * dim, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(
            layer, 2, norm=nn.LayerNorm(dim), enable_nested_tensor=False
        )
        for p in self.parameters():
            p.requires_grad = False
        self.prompt = nn.Parameter(torch.randn(prompts, dim) * 0.5)
        self.verbalizer = nn.Linear(dim, 8)

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores of eight topics."""
        prompt = self.prompt.expand(len(words), -1, -1)
        x = self.encoder(torch.cat([prompt, self.embedding(words)], dim=1))
        scores: Tensor = self.verbalizer(x[:, : self.prompt.shape[0]].mean(dim=1))
        return scores


def model(prompts: int = 8) -> nn.Module:
    """Build the network."""
    return PromptTuned(prompts, dim=64)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield texts and their topics."""
    return topics(seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with topics."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train prompt and readout."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 500 new texts; chance is an eighth."""
    return accuracy(model, *next(topics(HELD_OUT, size=500)))
