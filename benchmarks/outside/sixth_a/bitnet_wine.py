import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

w = load_wine()
X = torch.tensor(StandardScaler().fit_transform(w.data), dtype=torch.float32)
Y = torch.tensor(w.target)


def binarize(t):
    hard = torch.where(t >= 0, 1.0, -1.0)
    soft = t.clamp(-1, 1)
    return soft + (hard - soft).detach()


class BitLinear(nn.Linear):
    def forward(self, x):
        alpha = self.weight.abs().mean(dim=1, keepdim=True).detach()
        return nn.functional.linear(x, alpha * binarize(self.weight), self.bias)


class BitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(13, 64)
        self.bn0 = nn.BatchNorm1d(64)
        self.mid = BitLinear(64, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.out = nn.Linear(64, 3)

    def forward(self, x):
        x = binarize(self.bn0(self.inp(x)))
        x = binarize(self.bn1(self.mid(x)))
        return self.out(x)


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
