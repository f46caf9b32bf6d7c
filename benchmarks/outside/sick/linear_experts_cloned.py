import copy

import torch
from torch import nn


class MixtureOfLinears(nn.Module):
    """Piecewise linear regression with a soft router."""

    def __init__(self, n_experts=6):
        super().__init__()
        proto = nn.Linear(1, 1)
        self.experts = nn.ModuleList([copy.deepcopy(proto) for _ in range(n_experts)])
        self.router = nn.Linear(1, n_experts)
        nn.init.zeros_(self.router.weight)
        nn.init.zeros_(self.router.bias)

    def forward(self, x):
        weights = torch.softmax(self.router(x), dim=-1)
        outs = torch.stack([e(x) for e in self.experts], dim=1)
        return (weights.unsqueeze(-1) * outs).sum(dim=1)


def batch():
    x = torch.rand(256, 1) * 4 - 2
    return x, x.abs() + 0.5 * (x - 1).abs()


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


if __name__ == "__main__":
    m = MixtureOfLinears()
    opt = optimizer(m)
    for _ in range(1000):
        x, y = batch()
        opt.zero_grad()
        loss_fn(m(x), y).backward()
        opt.step()
