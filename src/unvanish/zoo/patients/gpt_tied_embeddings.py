"""A small GPT on letters: pre-norm, causal, tied embeddings, everything from N(0, 0.02).

With weights as small as these the first scores are nearly equal and the gradients small; the
output layers of the blocks are smaller still by the depth, as GPT-2 has it. All of it is meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn import functional as F

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(
    family="transformer",
    steps=200,
    variants={"n_layer": (1, 8), "n_embd": (32, 96)},
    source="Radford and others (2019); karpathy/nanoGPT",
)
GOAL = 1.2
HIGHER_IS_BETTER = False


@dataclass
class GPTConfig:
    """The size of the model."""

    n_layer: int
    n_embd: int
    n_head: int = 4
    block_size: int = 32
    vocab_size: int = len(ALPHABET)
    dropout: float = 0.0
    bias: bool = False


class CausalSelfAttention(nn.Module):
    """All heads in one matrix."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.n_head = config.n_head

    def forward(self, x: Tensor) -> Tensor:
        """Mix each place with the places before it."""
        batch, time, width = x.size()
        q, k, v = self.c_attn(x).split(width, dim=2)
        q = q.view(batch, time, self.n_head, -1).transpose(1, 2)
        k = k.view(batch, time, self.n_head, -1).transpose(1, 2)
        v = v.view(batch, time, self.n_head, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(batch, time, width)
        out: Tensor = self.c_proj(y)
        return out


class Block(nn.Module):
    """Attention and MLP, each behind a norm and beside a skip."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias),
                "gelu": nn.GELU(),
                "c_proj": nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add both branches."""
        x = x + self.attn(self.ln_1(x))
        mlp = self.mlp
        return x + mlp["c_proj"](mlp["gelu"](mlp["c_fc"](self.ln_2(x))))


class GPT(nn.Module):
    """The language model."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.block_size, config.n_embd),
                "h": nn.Sequential(*(Block(config) for _ in range(config.n_layer))),
                "ln_f": nn.LayerNorm(config.n_embd),
            }
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight  # type: ignore[assignment]
        self.apply(self._init_weights)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layer))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)

    def forward(self, idx: Tensor) -> Tensor:
        """Return the scores of every next letter."""
        pos = torch.arange(idx.size(1), device=idx.device)
        x = self.transformer["wte"](idx) + self.transformer["wpe"](pos)
        x = self.transformer["ln_f"](self.transformer["h"](x))
        logits: Tensor = self.lm_head(x)
        return logits


def model(n_layer: int = 3, n_embd: int = 64) -> nn.Module:
    """Build the network."""
    return GPT(GPTConfig(n_layer=n_layer, n_embd=n_embd))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of 32 letters, and the letters that follow."""
    return character_text(seed, length=32)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return F.cross_entropy(output.view(-1, output.size(-1)), target.reshape(-1))


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW, with decay on matrices only."""
    params = list(model.parameters())
    return torch.optim.AdamW(
        [
            {"params": [p for p in params if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=3e-3,
        betas=(0.9, 0.95),
    )


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text; letters alone have 2.8."""
    letters, following = next(character_text(HELD_OUT, length=32, size=128))
    return float(loss(model(letters), following))
