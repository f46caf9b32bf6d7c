import torch
from torch import nn


def make():
    torch.manual_seed(4)
    net = nn.Sequential(
        nn.Linear(16, 128),
        nn.LayerNorm(128),
        nn.GELU(),
        nn.Linear(128, 128),
        nn.GELU(),
        nn.Linear(128, 1),
    )
    return net.to(torch.bfloat16)  # half the memory for free


TRUE = torch.randn(16, generator=torch.Generator().manual_seed(0))


def batch(n=256):
    x = torch.randn(n, 16)
    y = torch.sin(x @ TRUE / 2)[:, None]
    return x.bfloat16(), y.bfloat16()


def loss(pred, y):
    return (pred - y).square().mean()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-5)
