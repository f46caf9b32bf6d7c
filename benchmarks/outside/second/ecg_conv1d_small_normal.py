"""Beat classification on synthetic ECG-like traces."""

import math

import torch
from torch import nn


def weights_init(m):
    if isinstance(m, (nn.Conv1d, nn.Linear)):
        nn.init.normal_(m.weight, 0, 0.005)
        nn.init.zeros_(m.bias)


class ECGNet(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        chans = [1, 16, 16, 32, 32, 32, 32, 32, 32, 32]
        blocks = []
        for i, (a, b) in enumerate(zip(chans[:-1], chans[1:])):
            blocks.append(nn.Conv1d(a, b, 5, stride=2 if i % 3 == 2 else 1, padding=2))
            blocks.append(nn.LeakyReLU(0.1))
        self.features = nn.Sequential(*blocks)
        self.fc = nn.Linear(32, num_classes)
        self.apply(weights_init)

    def forward(self, x):
        return self.fc(self.features(x).amax(dim=-1))


def batch(n=32, length=96):
    kind = torch.randint(3, (n,))
    t = torch.linspace(0, 1, length).expand(n, length)
    freq = torch.tensor([3.0, 6.0, 11.0])[kind][:, None]
    phase = 2 * math.pi * torch.rand(n, 1)
    wave = torch.sin(2 * math.pi * freq * t + phase).abs() ** 3
    return (wave + 0.1 * torch.randn(n, length))[:, None], kind


criterion = nn.CrossEntropyLoss()


def loss(logits, target):
    return criterion(logits, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9, weight_decay=1e-4)
