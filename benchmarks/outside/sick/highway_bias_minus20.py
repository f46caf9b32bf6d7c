import torch
import torch.nn as nn
from sklearn.datasets import make_circles


class Highway(nn.Module):
    def __init__(self, size, gate_bias):
        super().__init__()
        self.nonlinear = nn.Linear(size, size)
        self.gate = nn.Linear(size, size)
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, x):
        g = torch.sigmoid(self.gate(x))
        return g * torch.relu(self.nonlinear(x)) + (1 - g) * x


class HighwayNet(nn.Module):
    def __init__(self, size=24, depth=10, gate_bias=-20.0):
        super().__init__()
        self.inp = nn.Linear(2, size)
        self.layers = nn.ModuleList([Highway(size, gate_bias) for _ in range(depth)])
        self.out = nn.Linear(size, 2)

    def forward(self, x):
        x = self.inp(x)
        for layer in self.layers:
            x = layer(x)
        return self.out(x)


pts, cls = make_circles(512, noise=0.08, factor=0.5, random_state=4)


def batch():
    return torch.as_tensor(pts, dtype=torch.float32), torch.as_tensor(cls)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
