"""A module in the style of Lightning: its step and its optimiser are methods."""

import torch
import torch.nn.functional as F
from torch import nn

try:
    from lightning import LightningModule
except ImportError:
    LightningModule = nn.Module


class Classifier(LightningModule):
    def __init__(self, lr=1e-3):
        super().__init__()
        self.lr = lr
        self.encoder = nn.Sequential(
            nn.Linear(20, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
            nn.Linear(64, 64), nn.Sigmoid(),
        )
        self.classifier = nn.Linear(64, 3)

    def forward(self, x):
        return self.classifier(self.encoder(x))

    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def batch():
    inputs = torch.randn(64, 20)
    return inputs, inputs[:, :3].argmax(dim=1)
