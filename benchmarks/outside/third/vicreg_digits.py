"""VICReg: invariance + variance hinge + covariance, expander with batch norm."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

bank = torch.tensor(load_digits().images / 8 - 0.6, dtype=torch.float32)[:, None]


def view(x):
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    return torch.roll(x, (dx, dy), (2, 3)) * (0.8 + 0.4 * torch.rand(len(x), 1, 1, 1)) + 0.1 * torch.randn_like(x)


class VICReg(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(),
        )
        self.expander = nn.Sequential(nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, d))

    def forward(self, a, b):
        return self.expander(self.encoder(a)), self.expander(self.encoder(b))


def batch(n=128):
    x = bank[torch.randint(0, len(bank), (n,))]
    return (view(x), view(x)), torch.zeros(n)


def loss(z, _):
    a, b = z
    out = 25 * F.mse_loss(a, b)
    for v in (a, b):
        v = v - v.mean(0)
        std = (v.var(0) + 1e-4).sqrt()
        cov = v.T @ v / (len(v) - 1)
        off = cov - torch.diag(cov.diagonal())
        out = out + 12.5 * F.relu(1 - std).mean() + off.pow(2).sum() / v.shape[1]
    return out


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=2e-3, weight_decay=1e-4)


if __name__ == "__main__":
    m = VICReg()
    opt = optimizer(m)
    for i in range(300):
        v, _ = batch()
        l = loss(m(*v), None)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
