# Custom Spearman loss: correlation stays where it started
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

d = load_diabetes()
X = torch.tensor(scale(d.data), dtype=torch.float32)
y = torch.tensor(d.target, dtype=torch.float32)


def ranks(v):
    return v.argsort().argsort().float()


def ranks_corr(p, t):
    a, b = ranks(p) - ranks(p).mean(), ranks(t) - ranks(t).mean()
    return (a * b).sum() / (a.norm() * b.norm())


class Ranker(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


def loss(pred, target):
    a = ranks(pred)
    b = ranks(target)
    a, b = a - a.mean(), b - b.mean()
    return 1 - (a * b).sum() / (a.norm() * b.norm()) + 1e-3 * pred.pow(2).mean()


def batch():
    i = torch.randperm(len(X))[:128]
    return X[i], y[i]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = Ranker()
    opt = optimizer(net)
    for i in range(400):
        xb, yb = batch()
        opt.zero_grad()
        loss(net(xb), yb).backward()
        opt.step()
    print("spearman", ranks_corr(net(X), y).item())
