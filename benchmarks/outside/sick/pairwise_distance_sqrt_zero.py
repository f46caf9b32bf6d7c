import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class Embedder(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, dim))

    def forward(self, x):
        return self.net(x)


def contrastive(z, labels, margin=2.0):
    diff = z[:, None] - z[None]
    d2 = (diff**2).sum(-1)
    d = torch.sqrt(d2.clamp(min=0))
    same = labels[:, None] == labels[None]
    eye = torch.eye(len(z), dtype=torch.bool)
    pull = d**2 * (same & ~eye)
    push = torch.relu(margin - d) ** 2 * (~same)
    return (pull + push).mean()


criterion = contrastive
_x, _y = load_digits(return_X_y=True)
_x = torch.tensor(_x / 16, dtype=torch.float32)
_y = torch.tensor(_y)


def batch(n=96):
    i = torch.randperm(len(_y))[:n]
    return _x[i], _y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
