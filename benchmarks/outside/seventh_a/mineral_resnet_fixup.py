"""Raman spectra -> mineral. 24 residual blocks, last BN of a block starts at gamma = 0."""
import torch
from torch import nn

BINS, CLASSES = 64, 8
_g = torch.Generator().manual_seed(21)
_peaks = torch.rand(CLASSES, 3, generator=_g) * (BINS - 10) + 5


def spectra(n=64):
    y = torch.randint(0, CLASSES, (n,))
    ax = torch.arange(BINS).float()
    shift = 0.8 * torch.randn(n, 1)
    x = sum(torch.exp(-((ax - _peaks[y][:, k:k + 1] - shift) / 1.5) ** 2) for k in range(3))
    x = x + 0.3 * torch.randn(n, BINS) + torch.rand(n, 1) * torch.linspace(0, 1, BINS)
    return x.unsqueeze(1) - x.mean(), y


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm1d(c)
        self.conv2 = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm1d(c)
        nn.init.constant_(self.bn2.weight, 0)

    def forward(self, x):
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.bn2(self.conv2(h)))


class RamanResNet(nn.Module):
    def __init__(self, c=16, blocks=24):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, c, 5, stride=2, padding=2, bias=False), nn.BatchNorm1d(c), nn.ReLU())
        self.body = nn.Sequential(*(Block(c) for _ in range(blocks)))
        self.fc = nn.Linear(c * 8, CLASSES)

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.fc(nn.functional.adaptive_max_pool1d(x, 8).flatten(1))


batch = spectra
loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
