# Deep Sets (Zaheer et al. 2017) - homework, point clouds with 5 shapes
import math
import torch
import torch.nn as nn

POINTS = 300


def clouds(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 5, (n,), generator=g)
    u = torch.rand(n, POINTS, generator=g)
    a = 2 * math.pi * torch.rand(n, POINTS, generator=g)
    z = torch.zeros(n, POINTS)
    ring = torch.stack([a.cos(), a.sin(), z], -1)
    disc = u.sqrt()[..., None] * ring
    tube = torch.stack([a.cos(), a.sin(), 2 * u - 1], -1)
    cone = torch.stack([u * a.cos(), u * a.sin(), 1 - 2 * u], -1)
    h = 2 * u - 1
    ball = torch.stack([(1 - h * h).sqrt() * a.cos(), (1 - h * h).sqrt() * a.sin(), h], -1)
    shapes = torch.stack([ring, disc, tube, cone, ball], 1)
    x = shapes[torch.arange(n), y]
    x = x * (0.7 + 0.6 * torch.rand(n, 1, 1, generator=g))
    x = x + 0.05 * torch.randn(x.shape, generator=g)
    return 40 * x, y  # the scanner gives millimetres


points, shape = clouds(600, 0)


class DeepSet(nn.Module):
    def __init__(self):
        super().__init__()
        # phi works on each point, rho on the sum
        self.phi = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.rho = nn.Sequential(
            nn.Linear(32, 64),
            nn.Tanh(),
            nn.Linear(64, 64),
            nn.Tanh(),
            nn.Linear(64, 5),
        )

    def forward(self, x):
        x = self.phi(x)
        x = torch.sum(x, dim=1)
        return self.rho(x)


def model():
    return DeepSet()


def data():
    idx = torch.randperm(len(points))
    for i in range(0, 600, 30):
        batch = idx[i:i + 30]
        yield points[batch], shape[batch]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
