"""Adapter tuning: a small transformer is pretrained here for a moment, frozen, and gets bottleneck
adapters whose up-projection starts at zero (near-identity, Houlsby et al. 2019)."""
import torch
from torch import nn


class Adapter(nn.Module):
    def __init__(self, d, r=4):
        super().__init__()
        self.down, self.up = nn.Linear(d, r), nn.Linear(r, d)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x):
        return x + self.up(torch.nn.functional.gelu(self.down(x)))


class Layer(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.core = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.adapter = nn.Identity()

    def forward(self, x):
        return self.adapter(self.core(x))


class Encoder(nn.Module):
    def __init__(self, vocab=30, d=32, n=2):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.layers = nn.Sequential(*[Layer(d) for _ in range(n)])
        self.head = nn.Linear(d, 3)

    def forward(self, tok):
        return self.head(self.layers(self.emb(tok)).mean(1))


def task(n, shift):
    tok = torch.randint(0, 30, (n, 12))
    return tok, ((tok + shift) % 30 < 10).sum(1).sub(2).clamp(0, 4).div(2, rounding_mode="floor")


def build():
    net = Encoder()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(60):
        x, y = task(64, 0)
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    net.requires_grad_(False)
    for layer in net.layers:
        layer.adapter = Adapter(32)
    net.head = nn.Linear(32, 3)
    return net


def batch():
    return task(64, 7)


def optimizer(net):
    return torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-3)


if __name__ == "__main__":
    net = build()
    opt = optimizer(net)
    for i in range(300):
        x, y = batch()
        l = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
