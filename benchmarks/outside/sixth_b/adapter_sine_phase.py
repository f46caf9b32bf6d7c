# LoRA on a regression network: base knows sin(3x), adapters learn sin(3x + 1)
import torch
import torch.nn as nn


class LoRA(nn.Module):
    def __init__(self, lin, r=4):
        super().__init__()
        self.lin = lin.requires_grad_(False)
        self.A = nn.Parameter(torch.empty(lin.in_features, r))
        self.B = nn.Parameter(torch.zeros(r, lin.out_features))
        nn.init.kaiming_uniform_(self.A, a=5 ** 0.5)

    def forward(self, x):
        return self.lin(x) + x @ self.A @ self.B


def make(seed_steps=300):
    base = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    opt = torch.optim.Adam(base.parameters(), lr=3e-3)
    for _ in range(seed_steps):
        x = torch.rand(256, 1) * 4 - 2
        opt.zero_grad()
        nn.functional.mse_loss(base(x), torch.sin(3 * x)).backward()
        opt.step()
    for i in (2, 4):
        base[i] = LoRA(base[i])
    base[0].requires_grad_(False)
    return base


def batch():
    x = torch.rand(256, 1) * 4 - 2
    return x, torch.sin(3 * x + 1)


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=5e-3, weight_decay=0.0)
