"""
Coating line: predict layer thickness deviation from 12 process readings and the nozzle in use.

v3: 24 blocks. Every block is gated by a scalar and the net starts as (almost) nothing,
so that we can stack what we like.
"""
import torch
import torch.nn as nn

N_NOZZLES = 8


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.a = nn.Linear(dim, dim)
        self.b = nn.Linear(dim, dim)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.gate * self.b(torch.relu(self.a(x)))


class CoatingNet(nn.Module):
    def __init__(self, dim=40, blocks=24):
        super().__init__()
        self.nozzle = nn.Embedding(N_NOZZLES, 6)
        self.lift = nn.Linear(12 + 6, dim)
        self.blocks = nn.Sequential(*[Block(dim) for _ in range(blocks)])
        self.head = nn.Linear(dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, readings, nozzle):
        x = self.lift(torch.cat((readings, self.nozzle(nozzle)), -1))
        return self.head(self.blocks(x))[..., 0]


def production(n, seed):
    gen = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 12, generator=gen)
    z = torch.randint(0, N_NOZZLES, (n,), generator=gen)
    wear = torch.linspace(-1, 1, N_NOZZLES)[z]
    y = x[:, 0] * x[:, 1] + 0.7 * x[:, 2].abs() + wear * x[:, 3] + 0.5 * torch.sin(2 * x[:, 4]) - 0.6
    return x, z, y + 0.1 * torch.randn(n, generator=gen)


X, Z, Y = production(6000, 70)


def model():
    return CoatingNet()


def data():
    for i in torch.randperm(len(Y)).split(150):
        yield (X[i], Z[i]), Y[i]


def loss(pred, y):
    return nn.functional.mse_loss(pred, y)


def optimizer(model):
    gates = [p for p in model.parameters() if p.dim() == 0]
    rest = [p for p in model.parameters() if p.dim() > 0]
    return torch.optim.AdamW([{"params": rest, "weight_decay": 1e-3}, {"params": gates, "weight_decay": 0.0}], lr=2e-3)
