import torch
from torch import nn


class HNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.H = nn.Sequential(
            nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1, bias=False)
        )

    def forward(self, qp):
        with torch.enable_grad():
            qp = qp.detach().requires_grad_(True)
            energy = self.H(qp).sum()
            (dH,) = torch.autograd.grad(energy, qp, create_graph=True)
        return torch.stack([dH[:, 1], -dH[:, 0]], 1)


def batch(n=200):
    qp = 4 * torch.rand(n, 2) - 2
    return qp, torch.stack([qp[:, 1], -torch.sin(qp[:, 0])], 1)


def loss(field, true):
    return nn.functional.mse_loss(field, true)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)
