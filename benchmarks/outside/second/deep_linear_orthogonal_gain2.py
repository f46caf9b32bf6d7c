"""Saxe-style deep linear network, teacher-student setting."""

import torch
from torch import nn

torch.manual_seed(11)
TEACHER = torch.linalg.qr(torch.randn(32, 32))[0]


class DeepLinear(nn.Module):
    def __init__(self, dim=32, depth=25, gain=2.0):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(depth))
        for m in self.maps:
            nn.init.orthogonal_(m.weight, gain=gain)

    def forward(self, x):
        for m in self.maps:
            x = m(x)
        return x


def batch():
    x = torch.randn(128, 32)
    return x, x @ TEACHER


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
