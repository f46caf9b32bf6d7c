import torch
from torch import nn


class Expert(nn.Sequential):
    def __init__(self, d, hidden):
        super().__init__(nn.Linear(d, hidden), nn.Tanh(), nn.Linear(hidden, 1))


class MoE(nn.Module):
    def __init__(self, d=1, n_experts=6, hidden=1):
        super().__init__()
        self.experts = nn.ModuleList(Expert(d, hidden) for _ in range(n_experts))
        self.router = nn.Linear(d, n_experts)
        with torch.no_grad():
            self.router.bias.normal_(0, 50)

    def forward(self, x):
        p = torch.softmax(self.router(x), dim=-1)
        y = torch.cat([e(x) for e in self.experts], dim=-1)
        return (p * y).sum(-1, keepdim=True)


def batch(n=256):
    x = torch.rand(n, 1) * 2 - 1
    return x, torch.sin(6 * x)


def loss(pred, y):
    return nn.functional.mse_loss(pred, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
