"""Compress digits to 40 bits and get them back."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

flat = torch.tensor(load_digits().data, dtype=torch.float32) / 16
who = torch.randperm(len(flat), generator=torch.Generator().manual_seed(4))
tr, va, te = flat[who[:1200]], flat[who[1200:1450]], flat[who[1450:]]
variance = (te - tr.mean(0)).pow(2).mean().item()


def binarise(h):
    soft = torch.tanh(h)
    hard = torch.where(soft >= 0, 1.0, -1.0)
    return soft + (hard - soft).detach()


class BitCodec(nn.Module):
    def __init__(self, bits=40):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, bits))
        self.up = nn.Sequential(nn.Linear(bits, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        return self.up(binarise(self.down(x)))


def model():
    return BitCodec()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for b in torch.randperm(len(tr), generator=g).split(50):
        yield tr[b], tr[b]


def loss(out, x):
    return F.mse_loss(out, x)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    """explained share of the pixel variance"""
    model.eval()
    with torch.no_grad():
        e = F.mse_loss(model(va), va).item()
    model.train()
    return 1 - e / variance


GOAL = 0.5
HIGHER_IS_BETTER = True
