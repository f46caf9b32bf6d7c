"""40 residual blocks on two interleaved spirals."""
import math

import torch
import torch.nn as nn


def spirals(n, seed):
    g = torch.Generator().manual_seed(seed)
    arm = torch.randint(0, 2, (n,), generator=g)
    t = 0.4 + 2.6 * torch.rand(n, generator=g).sqrt()
    a = 2.2 * t + math.pi * arm
    xy = torch.stack([t * a.cos(), t * a.sin()], 1) + 0.06 * torch.randn(n, 2, generator=g)
    return xy, arm.float()


XY, ARM = spirals(2000, seed=1)
VAL_XY, VAL_ARM = spirals(400, seed=2)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.alpha * self.b(torch.relu(self.a(x)))


class SpiralNet(nn.Module):
    def __init__(self, blocks=40, width=32):
        super().__init__()
        self.lift = nn.Linear(2, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        x = self.lift(x)
        for block in self.blocks:
            x = block(x)
        return self.out(x).squeeze(1)


def model():
    return SpiralNet()


def data(seed=0):
    order = torch.randperm(len(XY), generator=torch.Generator().manual_seed(seed))
    for i in order.split(64):
        yield XY[i], ARM[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = ((model(VAL_XY) > 0).float() == VAL_ARM).float().mean().item()
    model.train()
    return acc


GOAL = 0.9
HIGHER_IS_BETTER = True
