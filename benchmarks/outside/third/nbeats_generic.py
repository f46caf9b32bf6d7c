"""N-BEATS (generic blocks, double residual) on noisy seasonal series."""
import math

import torch
from torch import nn

BACK, AHEAD = 48, 12


class Block(nn.Module):
    def __init__(self, width=64, theta=8, last=False):
        super().__init__()
        self.last = last
        self.fc = nn.Sequential(
            nn.Linear(BACK, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        )
        self.fore = nn.Sequential(nn.Linear(width, theta, bias=False), nn.Linear(theta, AHEAD, bias=False))
        if not last:  # the last backcast would feed nobody
            self.back = nn.Sequential(nn.Linear(width, theta, bias=False), nn.Linear(theta, BACK, bias=False))

    def forward(self, x):
        h = self.fc(x)
        return (0.0 if self.last else x - self.back(h)), self.fore(h)


class NBeats(nn.Module):
    def __init__(self, blocks=4):
        super().__init__()
        self.blocks = nn.ModuleList(Block(last=i == blocks - 1) for i in range(blocks))

    def forward(self, x):
        total = 0.0
        for b in self.blocks:
            x, fore = b(x)
            total = total + fore
        return total


def batch(n=64):
    t = torch.arange(BACK + AHEAD)
    period = torch.tensor([12.0, 24.0])[torch.randint(0, 2, (n, 1))]
    y = torch.sin(2 * math.pi * t / period + 6.28 * torch.rand(n, 1)) + 0.01 * t * torch.randn(n, 1)
    y = y + 0.1 * torch.randn(n, BACK + AHEAD)
    return y[:, :BACK], y[:, BACK:]


loss = nn.L1Loss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = NBeats()
    opt = optimizer(m)
    for i in range(400):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
