"""WaveNet residual blocks with tanh x sigmoid gates and summed skips, mu-law targets."""

import torch
from torch import nn


class GatedBlock(nn.Module):
    def __init__(self, c, skip, dilation):
        super().__init__()
        self.pad = dilation
        self.filter = nn.Conv1d(c, c, 2, dilation=dilation)
        self.gate = nn.Conv1d(c, c, 2, dilation=dilation)
        self.res, self.skip = nn.Conv1d(c, c, 1), nn.Conv1d(c, skip, 1)

    def forward(self, x):
        p = nn.functional.pad(x, (self.pad, 0))
        z = torch.tanh(self.filter(p)) * torch.sigmoid(self.gate(p))
        return x + self.res(z), self.skip(z)


class WaveNet(nn.Module):
    def __init__(self, levels=32, c=24, skip=48, n=6):
        super().__init__()
        self.embed = nn.Embedding(levels, c)
        self.blocks = nn.ModuleList(GatedBlock(c, skip, 2**i) for i in range(n))
        self.post1, self.post2 = nn.Conv1d(skip, skip, 1), nn.Conv1d(skip, levels, 1)

    def forward(self, tokens):
        x = self.embed(tokens).transpose(1, 2)
        total = 0
        for b in self.blocks:
            x, s = b(x)
            total = total + s
        return self.post2(torch.relu(self.post1(torch.relu(total))))


def batch(n=16, T=80):
    t = torch.arange(T + 1.0)[None]
    f = 0.02 + 0.05 * torch.rand(n, 1)
    w = 0.9 * torch.sin(6.2832 * (f * t + torch.rand(n, 1)))
    mu = torch.sign(w) * torch.log1p(31 * w.abs()) / torch.log(torch.tensor(32.0))
    q = ((mu + 1) / 2 * 31).round().long().clamp(0, 31)
    return q[:, :-1], q[:, 1:]


loss = nn.CrossEntropyLoss()


def model():
    return WaveNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
