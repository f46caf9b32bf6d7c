"""A small decoder in the style of Hugging Face: a dict goes in, a dataclass with its own
loss comes out. `model` and `batch` are all that is needed to check it:

unvanish check examples/tiny_gpt.py
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

TEXT = (
    "the quick brown fox jumps over the lazy dog and the lazy dog dreams of the quick fox "
    "while the brown river runs under the old bridge and the moon looks down on the dog "
) * 8
CHARS = sorted(set(TEXT))


@dataclass
class Config:
    vocab_size: int = len(CHARS)
    max_length: int = 64
    dim: int = 64
    heads: int = 4
    layers: int = 4


@dataclass
class LMOutput:
    loss: torch.Tensor | None
    logits: torch.Tensor


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)

    def forward(self, x):
        size, length, dim = x.shape
        q, k, v = self.qkv(x).view(size, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(size, length, dim))


class DecoderLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.dim)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.dim)
        self.up = nn.Linear(config.dim, 4 * config.dim)
        self.down = nn.Linear(4 * config.dim, config.dim)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.down(F.gelu(self.up(self.ln_2(x))))


class TinyGPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.dim)
        self.wpe = nn.Embedding(config.max_length, config.dim)
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.layers)])
        self.ln_f = nn.LayerNorm(config.dim)
        self.lm_head = nn.Linear(config.dim, config.vocab_size, bias=False)
        self.lm_head.weight = self.wte.weight  # tied, as in GPT-2
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, input_ids, labels=None):
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.wte(input_ids) + self.wpe(positions)
        for layer in self.layers:
            x = layer(x)
        logits = self.lm_head(self.ln_f(x))
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return LMOutput(loss, logits)


def model():
    return TinyGPT(Config())


def batch(seed=0):
    ids = torch.tensor([CHARS.index(char) for char in TEXT])
    starts = torch.randint(len(ids) - 64, (16,), generator=torch.Generator().manual_seed(seed))
    rows = torch.stack([ids[start : start + 64] for start in starts])
    return {"input_ids": rows, "labels": rows}


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    torch.manual_seed(0)
    net = model()
    steps = optimizer(net)
    for step in range(100):
        loss = net(**batch(step)).loss
        steps.zero_grad()
        loss.backward()
        steps.step()
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.3f}")
