"""Tabular net with 30 blocks and one learned strength per block.

Every block is  x + strength * f(x).  No normalisation anywhere, so that it can be exported to
the fixed-point runtime of the controller.
"""
import torch
from sklearn.datasets import make_classification
from torch import nn

DEPTH, WIDTH = 30, 48

_x, _y = make_classification(
    n_samples=3200, n_features=16, n_informative=10, n_redundant=2, n_classes=4,
    n_clusters_per_class=2, class_sep=1.6, flip_y=0.01, random_state=8,
)
_x = torch.tensor((_x - _x.mean(0)) / _x.std(0), dtype=torch.float32)
_y = torch.tensor(_y, dtype=torch.long)
x_fit, y_fit, x_val, y_val = _x[:2600], _y[:2600], _x[2600:], _y[2600:]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))
        self.f = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))

    def forward(self, x):
        return x + self.strength * self.f(x)


def model():
    return nn.Sequential(
        nn.Linear(16, WIDTH),
        *[Block() for _ in range(DEPTH)],
        nn.ReLU(),
        nn.Linear(WIDTH, 4),
    )


def data():
    for i in torch.randperm(len(x_fit)).split(100):
        yield x_fit[i], y_fit[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
