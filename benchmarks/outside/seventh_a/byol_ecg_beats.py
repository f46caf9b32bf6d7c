"""BYOL style pretraining on single ECG beats, teacher is a moving average kept elsewhere in the loop."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F

L = 64


def beats(n):
    t = torch.linspace(-1, 1, L)
    w = 0.05 + 0.1 * torch.rand(n, 1)
    st = 0.6 * torch.randn(n, 1)
    tw = 0.5 * torch.rand(n, 1) + 0.1
    return torch.exp(-(t / w) ** 2) + st * (t > 0.1).float() * torch.exp(-t * 2) + tw * torch.exp(-((t - 0.5) / 0.15) ** 2)


def augment(x):
    s = 0.8 + 0.4 * torch.rand(len(x), 1)
    return x * s + 0.05 * torch.randn_like(x) + 0.1 * torch.randn(len(x), 1)


def mlp(i, h, o):
    return nn.Sequential(nn.Linear(i, h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, o))


class BYOL(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(mlp(L, 128, 64), nn.BatchNorm1d(64), nn.ReLU(), mlp(64, 64, 32))
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad_(False)
        self.predictor = mlp(32, 64, 32)

    @torch.no_grad()
    def update_target(self, m=0.99):
        for a, b in zip(self.target.parameters(), self.online.parameters()):
            a.mul_(m).add_(b, alpha=1 - m)

    def one_side(self, a, b):
        p = F.normalize(self.predictor(self.online(a)), dim=1)
        with torch.no_grad():
            z = F.normalize(self.target(b), dim=1)
        return 2 - 2 * (p * z).sum(1).mean()

    def forward(self, v1, v2):
        return (self.one_side(v1, v2) + self.one_side(v2, v1)) / 2


def batch(n=128):
    x = beats(n)
    return (augment(x), augment(x)), torch.zeros(n)


def loss(out, _):
    return out


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=1e-4)
