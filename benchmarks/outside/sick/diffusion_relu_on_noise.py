import torch
from torch import nn

T = 50
betas = torch.linspace(1e-4, 0.2, T)
alpha_bar = torch.cumprod(1 - betas, 0)


class EpsModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Embedding(T, 32)
        self.net = nn.Sequential(
            nn.Linear(2 + 32, 128),
            nn.SiLU(),
            nn.Linear(128, 128),
            nn.SiLU(),
            nn.Linear(128, 2),
            nn.ReLU(),
        )

    def forward(self, x_t, t):
        return self.net(torch.cat([x_t, self.time(t)], dim=-1))


def sample_data(n):
    theta = torch.rand(n) * 2 * torch.pi
    return torch.stack([theta.cos(), theta.sin()], dim=1) * 2


def batch(n=256):
    x0 = sample_data(n)
    t = torch.randint(0, T, (n,))
    eps = torch.randn_like(x0)
    a = alpha_bar[t][:, None]
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps


def loss(pred, eps):
    return (pred - eps).pow(2).mean()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
