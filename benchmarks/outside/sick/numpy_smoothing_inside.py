import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class SmoothNet(nn.Module):
    """Learned projection, moving average, classifier."""

    def __init__(self, n=80, m=24):
        super().__init__()
        self.project = nn.Linear(n, m)
        self.classify = nn.Linear(m, 2)
        self.kernel = np.ones(3, dtype=np.float32) / 3

    def smooth(self, rows):
        return np.stack([np.convolve(r, self.kernel, mode="same") for r in rows])

    def forward(self, x):
        h = torch.relu(self.project(x))
        h = torch.from_numpy(self.smooth(h.detach().numpy()))
        return self.classify(F.relu(h))


def batch(n=64):
    t = torch.linspace(0, 1, 80)
    y = torch.randint(0, 2, (n,))
    freq = 4 + 3 * y[:, None] + torch.rand(n, 1)
    phase = torch.rand(n, 1) * 6.28
    return torch.sin(6.28 * freq * t + phase) + 0.2 * torch.randn(n, 80), y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
