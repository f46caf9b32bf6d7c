"""Signal / background on 18 kinematic features, toy version of the HIGGS table."""
import torch
from torch import nn


def events(n=128):
    y = torch.randint(0, 2, (n,)).float()
    x = torch.randn(n, 18)
    m = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    x[:, 2] = torch.where(y == 1, m + 0.3 * x[:, 2], x[:, 2])
    x[:, 3] = torch.where(y == 1, x[:, 3] + 0.9, x[:, 3])
    return x, y[:, None]


class DeepTagger(nn.Module):
    def __init__(self, n_layers=7, width=50):
        super().__init__()
        sizes = [18] + [width] * n_layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:]))
        self.last = nn.Linear(width, 1)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))
        return self.last(x)


def batch():
    return events()


def loss(out, y):
    return nn.functional.binary_cross_entropy_with_logits(out, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
