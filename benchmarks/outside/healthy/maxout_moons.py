import torch
import torch.nn as nn
from sklearn.datasets import make_moons


class Maxout(nn.Module):
    """Goodfellow et al. 2013: the largest of k affine pieces."""

    def __init__(self, d_in, d_out, k=4):
        super().__init__()
        self.d_out, self.k = d_out, k
        self.lin = nn.Linear(d_in, d_out * k)

    def forward(self, x):
        return self.lin(x).view(*x.shape[:-1], self.d_out, self.k).max(-1).values


class MoonNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.m1 = Maxout(2, 32)
        self.m2 = Maxout(32, 32)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        return self.out(self.drop(self.m2(self.drop(self.m1(x)))))


def batch(seed=0):
    x, y = make_moons(256, noise=0.15, random_state=seed)
    return torch.tensor(x, dtype=torch.float), torch.tensor(y)


def optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.02)
