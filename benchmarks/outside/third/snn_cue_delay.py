"""Working-memory task for a recurrent spiking-like rate model: a cue at the start, an answer 60 steps later.

Exact leak from a 5 ms membrane at dt = 1 ms; recurrence sparse as in cortex.
"""
import math

import torch
from torch import nn


class CueDelayNet(nn.Module):
    def __init__(self, n=64, tau_ms=5.0):
        super().__init__()
        self.decay = math.exp(-1.0 / tau_ms)
        self.cue = nn.Linear(4, n)
        rec = torch.randn(n, n) * (torch.rand(n, n) < 0.1).float() / math.sqrt(n) * 0.5
        self.rec = nn.Parameter(rec)
        self.read = nn.Linear(n, 4)

    def forward(self, x):
        v = x.new_zeros(x.shape[1], self.rec.shape[0])
        for now in x:
            rate = torch.sigmoid(v) - 0.5
            v = self.decay * v + (1 - self.decay) * (self.cue(now) + rate @ self.rec)
        return self.read(v)


def batch(n=64, delay=60):
    y = torch.randint(0, 4, (n,))
    x = torch.zeros(delay + 8, n, 4)
    x[:8] = nn.functional.one_hot(y, 4).float()
    x[8:] += 0.05 * torch.randn(delay, n, 4)
    return x, y


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)


if __name__ == "__main__":
    net = CueDelayNet()
    opt = optimizer(net)
    for step in range(200):
        x, y = batch()
        l = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
