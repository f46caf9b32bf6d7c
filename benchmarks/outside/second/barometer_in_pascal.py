import torch
from torch import nn


class Rain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 32)
        self.fc2 = nn.Linear(32, 32)
        self.fc3 = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x).squeeze(1)


def batch(n=128):
    p, t = torch.randn(n), torch.randn(n)
    weather = torch.stack([101325.0 + 900.0 * p, 288.0 + 8.0 * t], dim=1)
    return weather, (p < 0).float()


def loss(z, rain):
    return nn.functional.binary_cross_entropy_with_logits(z, rain)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
