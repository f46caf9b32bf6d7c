"""Physics-informed network for the 1-D wave equation u_tt = u_xx on [0, 1] x [0, 1].

The derivatives are cheap central differences, the standing wave sin(pi x) cos(pi t) is exact.
"""
import math

import torch
from torch import nn


class WavePINN(nn.Module):
    def __init__(self, width=40, hidden_layers=10):
        super().__init__()
        sizes = [2] + [width] * hidden_layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 1)

    def u(self, points):
        h = 2 * points - 1
        for lin in self.hidden:
            h = torch.sigmoid(lin(h))
        return self.out(h)

    def forward(self, inside, edge):
        eps = 0.05
        dx = torch.tensor([[eps, 0.0]])
        dt = torch.tensor([[0.0, eps]])
        mid = 2 * self.u(inside)
        u_xx = (self.u(inside + dx) - mid + self.u(inside - dx)) / eps**2
        u_tt = (self.u(inside + dt) - mid + self.u(inside - dt)) / eps**2
        return u_tt - u_xx, self.u(edge)


def batch():
    inside, edge = torch.rand(64, 2), torch.rand(96, 2)
    edge[:32, 0], edge[32:48, 0], edge[48:64, 0] = torch.rand(32), 0.0, 1.0
    edge[:32, 1] = 0.0
    exact = torch.sin(math.pi * edge[:, :1]) * torch.cos(math.pi * edge[:, 1:])
    return (inside, edge), exact


def loss(output, target):
    residual, boundary = output
    return 0.01 * residual.pow(2).mean() + (boundary - target).pow(2).mean()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = WavePINN()
    opt = optimizer(net)
    for it in range(1000):
        points, exact = batch()
        value = loss(net(*points), exact)
        opt.zero_grad()
        value.backward()
        opt.step()
        if it % 100 == 0:
            print(it, float(value))
