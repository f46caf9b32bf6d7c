import torch
from sklearn.datasets import make_moons
from torch import nn

points = torch.tensor(make_moons(2000, noise=0.05, random_state=0)[0], dtype=torch.float32) * 3


class VectorField(nn.Module):
    def __init__(self, h=128):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(3, h),
            nn.SELU(),
            nn.Linear(h, h),
            nn.SELU(),
            nn.Linear(h, h),
            nn.SELU(),
            nn.Linear(h, 2),
        )

    def forward(self, xt):
        return self.net(xt)


def batch(n=256):
    x1 = points[torch.randint(len(points), (n,))]
    x0 = torch.randn(n, 2)
    t = torch.rand(n, 1)
    return torch.cat([(1 - t) * x0 + t * x1, t], 1), x1 - x0


def loss(v, u):
    return (v - u).square().sum(1).mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)
