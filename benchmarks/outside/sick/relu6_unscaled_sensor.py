import torch
import torch.nn as nn


class SensorNet(nn.Module):
    """Small 1d net for an embedded fault detector (ReLU6 for later int8 export)."""

    def __init__(self, channels=12):
        super().__init__()
        self.fc1 = nn.Linear(channels, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 2)
        self.act = nn.ReLU6()

    def forward(self, x):
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        return self.fc3(x)


def batch(n=256):
    base = torch.linspace(3000, 5000, 12)
    counts = base + 25 * torch.randn(n, 12)
    faulty = (torch.rand(n) < 0.5).long()
    counts[:, 3] += 40.0 * faulty
    counts[:, 8] -= 40.0 * faulty
    return counts, faulty


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
