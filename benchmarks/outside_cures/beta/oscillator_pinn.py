"""Solve u'' + w^2 u = 0, u(0) = 1, u'(0) = 0 on [0, 2] by penalising the residual."""

import torch
from torch import nn

OMEGA = 3.0


class Solution(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )  # fmt: skip

    def u(self, t):
        return self.net(t)

    def forward(self, t):
        with torch.enable_grad():
            t = t.detach().requires_grad_(True)
            u = self.u(t)
            du = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
            ddu = torch.autograd.grad(du.sum(), t, create_graph=True, allow_unused=True, materialize_grads=True)[0]
            zero = torch.zeros(1, 1, requires_grad=True)
            u0 = self.u(zero)
            du0 = torch.autograd.grad(u0.sum(), zero, create_graph=True)[0]
        residual = (ddu + OMEGA**2 * u) / OMEGA**2
        start = torch.cat([u0 - 1.0, du0], 1).expand(len(t), 2)
        return torch.cat([residual, start], 1)


def model():
    return Solution()


points = torch.linspace(0, 2, 640).unsqueeze(1)


def data(seed=0):
    for idx in torch.randperm(640, generator=torch.Generator().manual_seed(seed)).split(64):
        yield points[idx], torch.zeros(len(idx), 3)


def loss(output, target):
    return ((output - target) ** 2 * torch.tensor([1.0, 5.0, 1.0])).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    """Root mean square error against the known solution, off the training points."""
    t = torch.rand(200, 1, generator=torch.Generator().manual_seed(4)) * 2
    with torch.no_grad():
        return (model.u(t) - torch.cos(OMEGA * t)).pow(2).mean().sqrt().item()


HIGHER_IS_BETTER = False
GOAL = 0.2
