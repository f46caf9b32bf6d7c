"""``nn.Transformer`` with encoder and decoder, which turns sequences around.

The decoder sees its own past through a causal mask and the source through cross-attention.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, copy_task

PATIENT = Patient(family="transformer", steps=250, variants={"layers": (1, 3), "d_model": (32, 96)})
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 8


class Seq2SeqTransformer(nn.Module):
    """Embeddings, ``nn.Transformer``, output layer."""

    def __init__(self, layers: int, d_model: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, d_model)
        self.position = nn.Embedding(LENGTH, d_model)
        self.transformer = nn.Transformer(
            d_model,
            nhead=4,
            num_encoder_layers=layers,
            num_decoder_layers=layers,
            dim_feedforward=2 * d_model,
            dropout=0.0,
            batch_first=True,
        )
        self.generator = nn.Linear(d_model, 9)

    def _embedded(self, tokens: Tensor) -> Tensor:
        where = torch.arange(tokens.shape[1], device=tokens.device)
        embedded: Tensor = self.embed(tokens) + self.position(where)
        return embedded

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        """Return the scores of every next symbol."""
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.shape[1], device=tgt.device)
        out = self.transformer(
            self._embedded(src), self._embedded(tgt), tgt_mask=mask, tgt_is_causal=True
        )
        scores: Tensor = self.generator(out)
        return scores


def model(layers: int = 2, d_model: int = 64) -> nn.Module:
    """Build the network."""
    return Seq2SeqTransformer(layers, d_model)


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield a source, the shifted target and the target."""
    return copy_task(seed, length=LENGTH)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the symbols at every place."""
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right symbols under teacher forcing; a guess has 1/8."""
    (source, shifted), target = next(copy_task(HELD_OUT, length=LENGTH, size=256))
    return float((model(source, shifted).argmax(dim=-1) == target).float().mean())
