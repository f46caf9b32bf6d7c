"""Pre-activation ResNet, He et al. 2016b, shrunk for 8x8 images."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class PreActBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.short = (
            nn.Conv2d(cin, cout, 1, stride, bias=False) if stride != 1 or cin != cout else None
        )

    def forward(self, x):
        h = torch.relu(self.bn1(x))
        skip = x if self.short is None else self.short(h)
        h = self.conv1(h)
        h = self.conv2(torch.relu(self.bn2(h)))
        return h + skip


class PreActResNet(nn.Module):
    def __init__(self, blocks=(3, 3, 3), widths=(12, 24, 48)):
        super().__init__()
        self.conv = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        layers, cin = [], widths[0]
        for i, (n, w) in enumerate(zip(blocks, widths)):
            for j in range(n):
                layers.append(PreActBlock(cin, w, 2 if i and not j else 1))
                cin = w
        self.layers = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(cin)
        self.fc = nn.Linear(cin, 10)

    def forward(self, x):
        h = torch.relu(self.bn(self.layers(self.conv(x))))
        return self.fc(h.mean(dim=(2, 3)))


def batch():
    d = load_digits()
    i = torch.randperm(len(d.target))[:64]
    return torch.tensor(d.images).float()[i, None] / 8 - 1, torch.tensor(d.target)[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
