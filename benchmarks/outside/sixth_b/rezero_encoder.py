"""ReZero is all you need (Bachlechner et al.): x + alpha * f(x), alpha starts at 0, no layer norm."""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

d = load_digits()
X, Y = torch.tensor(d.images / 16.0).float(), torch.tensor(d.target)


class ReZeroLayer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.att = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        x = x + self.alpha * self.att(x, x, x, need_weights=False)[0]
        return x + self.alpha * self.ff(x)


class Encoder(nn.Module):
    def __init__(self, dim=32, depth=8):
        super().__init__()
        self.inp = nn.Linear(8, dim)
        self.pos = nn.Parameter(0.3 * torch.randn(8, dim))
        self.layers = nn.Sequential(*[ReZeroLayer(dim, 4) for _ in range(depth)])
        self.cls = nn.Linear(8 * dim, 10)

    def forward(self, x):
        return self.cls(self.layers(self.inp(x) + self.pos).flatten(1))


def batch():
    i = torch.randint(0, len(X), (32,))
    return X[i], Y[i]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
