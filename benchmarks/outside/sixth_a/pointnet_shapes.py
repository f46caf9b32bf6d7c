import torch
import torch.nn as nn


class PointNet(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(),
            nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64), nn.ReLU(),
            nn.Conv1d(64, 128, 1), nn.BatchNorm1d(128), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, k))

    def forward(self, pts):
        return self.head(self.mlp(pts).max(dim=2).values)


def cloud(kind, n=96):
    v = torch.randn(3, n)
    if kind == 0:
        v = v / v.norm(dim=0)
    elif kind == 1:
        v = 0.6 * v / v.abs().max(dim=0).values
    else:
        v = torch.cat([v[:2] / v[:2].norm(dim=0), 2 * torch.rand(1, n) - 1])
        v = 0.8 * v
    v = v * (0.9 + 0.2 * torch.rand(1))
    return v + 0.02 * torch.randn(3, n)


def batch(b=32):
    y = torch.randint(0, 3, (b,))
    return torch.stack([cloud(int(k)) for k in y]), y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
