"""A transformer encoder on texts of different lengths, filled up with padding.

Padded places are masked out of the attention with minus infinity and left out of the mean, and the
row of the padding token in the embedding gets no gradient. Zeros everywhere, and all in order.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, topics

PATIENT = Patient(family="transformer", steps=200, variants={"layers": (1, 4), "dim": (16, 64)})
GOAL = 0.85
HIGHER_IS_BETTER = True

PAD = 0


class TextClassifier(nn.Module):
    """Encoder, masked mean, linear."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(201, dim, padding_idx=PAD)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, 2, 2 * dim, dropout=0.1, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.fc = nn.Linear(dim, 8)

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores of eight topics."""
        padded = words == PAD
        x = self.embedding(words)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padded)
        x = self.norm(x).masked_fill(padded.unsqueeze(-1), 0.0)
        mean = x.sum(dim=1) / (~padded).sum(dim=1, keepdim=True)
        scores: Tensor = self.fc(mean)
        return scores


def model(layers: int = 2, dim: int = 32) -> nn.Module:
    """Build the network."""
    return TextClassifier(layers, dim)


def _padded(batch: tuple[Tensor, Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """Cut each text off somewhere between 8 and 20 words and fill it up."""
    words, topic = batch
    random = torch.Generator().manual_seed(seed)
    length = torch.randint(8, 21, (len(words), 1), generator=random)
    return torch.where(torch.arange(20) < length, words + 1, PAD), topic


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield padded texts and their topics."""
    for number, batch in enumerate(topics(seed)):
        yield _padded(batch, seed=100 * seed + number)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 500 new texts; chance is an eighth."""
    return accuracy(model, *_padded(next(topics(HELD_OUT, size=500)), seed=HELD_OUT))
