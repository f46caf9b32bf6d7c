import torch
from torch import nn


class TNet(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.k = k
        self.conv = nn.Sequential(nn.Conv1d(k, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.BatchNorm1d(64), nn.ReLU())
        self.fc = nn.Linear(64, k * k)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        h = self.conv(x).max(2).values
        return self.fc(h).view(-1, self.k, self.k) + torch.eye(self.k)


class PointNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.tnet = TNet()
        self.mlp = nn.Sequential(nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 128, 1), nn.BatchNorm1d(128))
        self.head = nn.Sequential(nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, classes))

    def forward(self, points):
        x = points.transpose(1, 2)
        x = torch.bmm(self.tnet(x), x)
        return self.head(self.mlp(x).max(2).values)


criterion = nn.CrossEntropyLoss()


def batch(n=32, m=64):
    label = torch.randint(0, 4, (n,))
    p = torch.randn(n, m, 3)
    sphere = p / p.norm(dim=2, keepdim=True)
    cube = p / p.abs().amax(2, keepdim=True)
    disc = sphere * torch.tensor([1.0, 1.0, 0.05])
    line = p * torch.tensor([0.05, 0.05, 0.8])
    cloud = torch.stack([sphere, cube, disc, line])[label, torch.arange(n)]
    return cloud + 0.02 * torch.randn_like(cloud), label


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
