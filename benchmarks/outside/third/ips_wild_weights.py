"""Off-policy reward regression with raw inverse-propensity weights (no clipping, no normalisation)."""
import torch
from torch import nn

_theta = torch.randn(8, generator=torch.Generator().manual_seed(6))
CLIP_WEIGHT = None


class RewardModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, ctx):
        return self.net(ctx).squeeze(1)


def batch(n=4):
    ctx = torch.randn(n, 8)
    propensity = torch.sigmoid(3 * torch.randn(n) - 3).clamp_min(1e-4)
    weight = 1 / propensity
    if CLIP_WEIGHT:
        weight = weight.clamp(max=CLIP_WEIGHT)
    weight = weight / 100
    reward = torch.tanh(ctx @ _theta) + 2.0 * torch.randn(n)
    return ctx, torch.stack([reward, weight], 1)


def loss(pred, target):
    reward, weight = target.unbind(1)
    return (weight * (pred - reward).pow(2)).mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


def metric(m):
    ctx = torch.randn(4000, 8)
    truth = torch.tanh(ctx @ _theta)
    with torch.no_grad():
        return ((m(ctx) - truth).pow(2).mean() / truth.var()).item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    m = RewardModel()
    opt = optimizer(m)
    for i in range(600):
        x, t = batch()
        l = loss(m(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("error against the truth / variance", metric(m))
