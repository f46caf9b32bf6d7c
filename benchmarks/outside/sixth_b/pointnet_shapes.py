import torch
import torch.nn as nn
import torch.nn.functional as F


class PointNet(nn.Module):
    """PointNet without T-nets: shared MLP, max over the points, classifier"""

    def __init__(self, k=3):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 32, 1)
        self.conv2 = nn.Conv1d(32, 64, 1)
        self.conv3 = nn.Conv1d(64, 128, 1)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(32), nn.BatchNorm1d(64), nn.BatchNorm1d(128)
        self.fc1 = nn.Linear(128, 64)
        self.drop = nn.Dropout(0.3)
        self.fc2 = nn.Linear(64, k)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x = torch.max(x, 2)[0]
        return self.fc2(self.drop(F.relu(self.fc1(x))))


def batch(n=32, pts=64):
    y = torch.randint(0, 3, (n,))
    g = torch.randn(n, 3, pts)
    sphere = g / g.norm(dim=1, keepdim=True)
    cube = g / g.abs().amax(1, keepdim=True) * 0.8
    disc = sphere * torch.tensor([1.0, 1.0, 0.1]).view(1, 3, 1)
    x = torch.where((y == 0).view(-1, 1, 1), sphere, torch.where((y == 1).view(-1, 1, 1), cube, disc))
    return x + 0.03 * torch.randn_like(x), y


loss_fn = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
