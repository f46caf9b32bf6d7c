"""Plain-34 baseline of the residual paper, scaled down to 8x8 images."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Plain(nn.Module):
    def __init__(self, n, width):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(n))
        self.fc = nn.Linear(width, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.convs:
            x = F.relu(conv(x))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)


def plain34():
    return Plain(32, 16)


def data():
    d = load_digits()
    x = torch.as_tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1
    y = torch.as_tensor(d.target)
    for i in range(0, 1700, 50):
        yield x[i : i + 50], y[i : i + 50]


def loss(logits, target):
    return F.cross_entropy(logits, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
