"""Robust classification with noisy labels: MAE on probabilities (Ghosh et al. 2017), cosine head s = 64."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

_x, _y = load_digits(return_X_y=True)
xtr, xte, ytr, yte = (torch.tensor(a) for a in train_test_split(_x, _y, random_state=0))
xtr, xte = (xtr.float() - 5) / 6, (xte.float() - 5) / 6
_flip = torch.rand(len(ytr), generator=torch.Generator().manual_seed(0)) < 0.2
ytr = torch.where(_flip, (ytr + 3) % 10, ytr)


class CosineNet(nn.Module):
    def __init__(self, scale=64.0):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
        self.proto = nn.Parameter(torch.randn(10, 8))
        self.scale = scale

    def forward(self, x):
        cos = F.normalize(self.features(x), dim=1) @ F.normalize(self.proto, dim=1).T
        return self.scale * cos


def batch():
    i = torch.randint(0, len(xtr), (128,))
    return xtr[i], ytr[i]


def loss(logits, y):
    p = logits.softmax(1)
    return (p - F.one_hot(y, 10)).abs().sum(1).mean()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def metric(net):
    with torch.no_grad():
        return (net(xte).argmax(1) == yte).float().mean().item()


if __name__ == "__main__":
    net = CosineNet()
    opt = optimizer(net)
    for i in range(400):
        x, y = batch()
        opt.zero_grad()
        loss(net(x), y).backward()
        opt.step()
    print("test accuracy", metric(net))
