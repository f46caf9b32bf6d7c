# Potential energy of a two-dimensional double well, learned from energies and forces.
import torch
from torch import nn


class Potential(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, 64),
            nn.Softplus(beta=4),
            nn.Linear(64, 64),
            nn.Softplus(beta=4),
            nn.Linear(64, 1),
        )

    def forward(self, pos):
        pos = pos.requires_grad_(True)
        energy = self.net(pos).squeeze(-1)
        (grad,) = torch.autograd.grad(energy.sum(), pos, create_graph=True)
        return energy, -grad


def true_energy(p):
    return (p[:, 0] ** 2 - 1) ** 2 + 0.5 * p[:, 1] ** 2


def batch():
    p = torch.rand(256, 2) * 3 - 1.5
    p.requires_grad_(True)
    e = true_energy(p)
    (f,) = torch.autograd.grad(-e.sum(), p)
    return p.detach(), (e.detach(), f.detach())


def loss(output, target):
    e, f = output
    e_ref, f_ref = target
    return (e - e_ref).pow(2).mean() + 0.1 * (f - f_ref).pow(2).sum(-1).mean()


def model():
    return Potential()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
