"""Normaliser-free residual net: scaled weight standardisation, SkipInit gain 0, alpha 0.2."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class WSConv2d(nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x):
        var, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True)
        fan_in = self.weight[0].numel()
        w = (self.weight - mean) * torch.rsqrt(torch.clamp(var * fan_in, min=1e-4)) * self.gain
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


def act(x):
    return F.relu(x) * 1.7139588594436646


class NFBlock(nn.Module):
    def __init__(self, c, alpha=0.2, beta=1.0):
        super().__init__()
        self.c1, self.c2 = WSConv2d(c, c, 3, padding=1), WSConv2d(c, c, 3, padding=1)
        self.skip_gain = nn.Parameter(torch.zeros(()))
        self.alpha, self.beta = alpha, beta

    def forward(self, x):
        h = self.c2(act(self.c1(act(x) / self.beta)))
        return x + self.alpha * self.skip_gain * h


class NFNet(nn.Module):
    def __init__(self, c=24, n=4):
        super().__init__()
        self.stem = WSConv2d(1, c, 3, padding=1)
        self.blocks = nn.Sequential(*[NFBlock(c, beta=(1 + 0.04 * i) ** 0.5) for i in range(n)])
        self.fc = nn.Linear(c, 10)

    def forward(self, x):
        return self.fc(act(self.blocks(self.stem(x))).mean((2, 3)))


def model():
    return NFNet()


def batch():
    d = load_digits()
    i = torch.randint(0, 1797, (48,))
    return (torch.tensor(d.images).float()[i, None] - 4.9) / 6, torch.tensor(d.target)[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


CLIP_GRAD_NORM = 2.0
