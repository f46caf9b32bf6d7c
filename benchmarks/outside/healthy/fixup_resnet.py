"""Fixup initialisation (Zhang, Dauphin, Ma 2019): a residual CNN without any normalisation."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn


class FixupBlock(nn.Module):
    def __init__(self, ch, num_layers):
        super().__init__()
        self.bias1a = nn.Parameter(torch.zeros(1))
        self.conv1 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.bias1b = nn.Parameter(torch.zeros(1))
        self.relu = nn.ReLU(inplace=True)
        self.bias2a = nn.Parameter(torch.zeros(1))
        self.conv2 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.scale = nn.Parameter(torch.ones(1))
        self.bias2b = nn.Parameter(torch.zeros(1))
        std = math.sqrt(2 / (ch * 9)) * num_layers ** (-0.5)
        nn.init.normal_(self.conv1.weight, 0, std)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x):
        out = self.relu(self.conv1(x + self.bias1a) + self.bias1b)
        out = self.conv2(out + self.bias2a) * self.scale + self.bias2b
        return self.relu(out + x)


class FixupNet(nn.Module):
    def __init__(self, n=6, ch=24, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        nn.init.kaiming_normal_(self.stem.weight)
        self.blocks = nn.Sequential(*[FixupBlock(ch, n) for _ in range(n)])
        self.bias = nn.Parameter(torch.zeros(1))
        self.fc = nn.Linear(ch, classes)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.blocks(x).mean((2, 3))
        return self.fc(x + self.bias)


def model():
    return FixupNet()


def data():
    d = load_digits()
    x = torch.tensor(d.images[:, None] / 8 - 1, dtype=torch.float32)
    y = torch.tensor(d.target)
    return [(x[i : i + 64], y[i : i + 64]) for i in range(0, 1664, 64)]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


CLIP_GRAD_NORM = 1.0
