"""Solubility class of a molecule from its (tokenised) SMILES string."""
from __future__ import annotations

import torch
from torch import Tensor, nn

VOCAB = "_CNOScnos()=#123[]H+-FI"
PAD = 0
MAX_LEN = 40


def make_batch(n: int = 64) -> tuple[Tensor, Tensor]:
    lengths = torch.randint(10, MAX_LEN - 4, (n,))
    tokens = torch.randint(1, len(VOCAB), (n, MAX_LEN))
    polar = torch.randint(0, 2, (n,))
    # soluble ones carry more N and O
    swap = torch.rand(n, MAX_LEN) < 0.25
    tokens = torch.where(swap & (polar[:, None] == 1), torch.randint(2, 4, (n, MAX_LEN)), tokens)
    tokens[torch.arange(MAX_LEN)[None] >= lengths[:, None]] = PAD
    return tokens, polar


class SmilesEncoder(nn.Module):
    def __init__(self, dim: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(VOCAB), dim, padding_idx=PAD)
        self.mix = nn.Sequential(nn.Linear(dim, 64), nn.GELU(), nn.Linear(64, dim))
        self.query = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        mask = tokens != PAD
        h = self.embed(tokens)
        h = h + self.mix(h)
        q = self.query.expand(len(tokens), -1, -1)
        pooled, _ = self.attn(q, h, h, key_padding_mask=mask, need_weights=False)
        return self.head(self.norm(pooled[:, 0]))


def batch():
    return make_batch()


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
