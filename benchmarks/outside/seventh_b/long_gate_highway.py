# Highway layers. Theano code moved over.
import torch
from torch import nn


class Highway(nn.Module):
    def __init__(self, dim, gate_bias=-10.0):
        super().__init__()
        self.h = nn.Linear(dim, dim)
        self.t = nn.Linear(dim, dim)
        nn.init.constant_(self.t.bias, gate_bias)

    def forward(self, x):
        t = torch.sigmoid(self.t(x))
        return t * torch.relu(self.h(x)) + (1 - t) * x


class HighwayNet(nn.Module):
    def __init__(self, dim=12, depth=10):
        super().__init__()
        self.layers = nn.Sequential(*[Highway(dim) for _ in range(depth)])
        self.out = nn.Linear(dim, 2)

    def forward(self, x):
        return self.out(self.layers(x))


def batch():
    x = torch.randn(128, 12)
    return x, (x[:, :3].pow(2).sum(1) > 2.4).long()


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
