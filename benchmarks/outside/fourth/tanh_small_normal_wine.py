import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale
from torch import nn

wine = load_wine()
X = torch.tensor(scale(wine.data)).float()
Y = torch.tensor(wine.target)


class WineNet(nn.Module):
    """ten tanh layers, weights ~ N(0, 0.02^2) like in the BERT code"""

    def __init__(self):
        super().__init__()
        sizes = [13] + [64] * 10
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.head = nn.Linear(64, 3)
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(module):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
            nn.init.zeros_(module.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def batch():
    return X, Y


def loss(output, target):
    return F.cross_entropy(output, target)


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
