"""PINN for u_t = 0.1 u_xx with u(x, 0) = sin(pi x): the network is differentiated twice."""

import math

import torch
from torch import nn


class PINN(nn.Module):
    def __init__(self, h=32, depth=4):
        super().__init__()
        sizes = [2] + [h] * depth
        layers = []
        for i, o in zip(sizes[:-1], sizes[1:]):
            lin = nn.Linear(i, o)
            nn.init.xavier_normal_(lin.weight)
            nn.init.zeros_(lin.bias)
            layers += [lin, nn.Tanh()]
        self.u = nn.Sequential(*layers, nn.Linear(h, 1))

    def forward(self, inside, initial, boundary):
        x, t = inside[:, :1].requires_grad_(), inside[:, 1:].requires_grad_()
        u = self.u(torch.cat([x, t], 1))
        one = torch.ones_like(u)
        u_t = torch.autograd.grad(u, t, one, create_graph=True)[0]
        u_x = torch.autograd.grad(u, x, one, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x, x, one, create_graph=True)[0]
        return u_t - 0.1 * u_xx, self.u(initial), self.u(boundary)


def model():
    return PINN()


def batch(n=256):
    inside = torch.rand(n, 2) * torch.tensor([2.0, 1.0]) - torch.tensor([1.0, 0.0])
    x0 = torch.rand(64, 1) * 2 - 1
    initial = torch.cat([x0, torch.zeros(64, 1)], 1)
    side = torch.where(torch.rand(64, 1) < 0.5, -1.0, 1.0)
    boundary = torch.cat([side, torch.rand(64, 1)], 1)
    return (inside, initial, boundary), torch.sin(math.pi * x0)


def loss(output, u0):
    residual, init, bound = output
    return residual.pow(2).mean() + (init - u0).pow(2).mean() + bound.pow(2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
