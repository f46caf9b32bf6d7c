"""A hyper-network: it reads a task descriptor (amplitude, frequency, phase) and writes the weights of a small curve net."""

import torch
from torch import nn

HID = 24
SIZES = [(HID, 1), (HID,), (HID, HID), (HID,), (1, HID), (1,)]


def numel(shape):
    n = 1
    for s in shape:
        n *= s
    return n


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    task = torch.rand(n, 2, generator=g) * 2 - 1
    t = torch.rand(n, 1, generator=g) * 2 - 1
    y = task[:, :1] * torch.sin(2 * t) + 0.5 * task[:, 1:] * t
    return (task, t), y


class HyperNet(nn.Module):
    def __init__(self):
        super().__init__()
        total = sum(numel(s) for s in SIZES)
        self.trunk = nn.Sequential(nn.Linear(2, 32), nn.ReLU())
        self.write = nn.Linear(32, total)
        nn.init.normal_(self.write.weight)
        nn.init.normal_(self.write.bias)

    def weights(self, task):
        flat = self.write(self.trunk(task))
        parts, at = [], 0
        for shape in SIZES:
            parts.append(flat[:, at : at + numel(shape)].view(-1, *shape))
            at += numel(shape)
        return parts

    def forward(self, task, t):
        w1, b1, w2, b2, w3, b3 = self.weights(task)
        h = torch.tanh(torch.einsum("nij,nj->ni", w1, t) + b1)
        h = torch.tanh(torch.einsum("nij,nj->ni", w2, h) + b2)
        return torch.einsum("nij,nj->ni", w3, h) + b3


def model():
    return HyperNet()


(TASK, TIME), CURVE = make(2000, 0)


def data(seed=0):
    for i in torch.randperm(2000, generator=torch.Generator().manual_seed(seed)).split(50):
        yield (TASK[i], TIME[i]), CURVE[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model):
    inputs, y = make(500, 1)
    with torch.no_grad():
        return (1 - (model(*inputs) - y).pow(2).mean() / y.var()).item()


GOAL = 0.8
HIGHER_IS_BETTER = True
