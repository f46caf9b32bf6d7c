import torch
from torch import nn


class ShrinkageNet(nn.Module):
    """Learned iterative shrinkage for denoising."""

    def __init__(self, n=64, k=128, iters=2):
        super().__init__()
        self.analysis = nn.Linear(n, k, bias=False)
        self.refine = nn.ModuleList(nn.Linear(k, k, bias=False) for _ in range(iters))
        self.synthesis = nn.Linear(k, n, bias=False)
        self.shrink = nn.Hardshrink(lambd=3.0)

    def forward(self, y):
        z = self.shrink(self.analysis(y))
        for r in self.refine:
            z = self.shrink(r(z))
        return self.synthesis(z)


def batch():
    t = torch.linspace(0, 1, 64)
    f = torch.rand(128, 1) * 6 + 1
    ph = torch.rand(128, 1) * 6.28
    clean = torch.sin(6.28 * f * t + ph)
    return clean + 0.3 * torch.randn_like(clean), clean


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
