import torch
import torch.nn as nn


class OrbitNet(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.radius = nn.Linear(width, 1)

    def forward(self, telemetry):
        return self.radius(self.trunk(telemetry)).squeeze(-1)


def batch(n=128):
    telemetry = torch.randn(n, 6)
    wiggle = torch.tanh(telemetry[:, 0] + telemetry[:, 1] * telemetry[:, 2])
    radius = 6.878e6 + 300.0 * wiggle
    return telemetry, radius


criterion = nn.MSELoss()


def loss(pred, radius):
    return criterion(pred, radius)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
