"""A dataclass holds the sizes; a convolutional network is built from it."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    channels: int = 16
    depth: int = 14
    classes: int = 4


class ConvNet(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.first = nn.Conv2d(3, cfg.channels, 3, padding=1)
        self.blocks = nn.ModuleList()
        for _ in range(cfg.depth):
            self.blocks.append(nn.Conv2d(cfg.channels, cfg.channels, 3, padding=1))
        self.fc = nn.Linear(cfg.channels * 64, cfg.classes)

    def forward(self, x):
        x = torch.relu(self.first(x))
        for conv in self.blocks:
            x = torch.relu(conv(x))
        return self.fc(x.flatten(1))


def model():
    return ConvNet(Config())


def batch():
    inputs = torch.randn(16, 3, 8, 8)
    return inputs, inputs.mean(dim=(2, 3)).argmax(dim=1)
