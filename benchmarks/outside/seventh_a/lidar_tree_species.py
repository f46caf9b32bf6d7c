# airborne lidar, single trees cut out of the tile, spruce / beech / larch crown
import torch, math
from torch import nn

EAST, NORTH = 356200.0, 5487300.0


def crown(kind, n=96):
    h = torch.rand(n)
    if kind == 0:
        r = 2.2 * (1 - h)
    elif kind == 1:
        r = 2.8 * torch.sqrt(torch.clamp(1 - (2 * h - 1) ** 2, min=0))
    else:
        r = 0.6 + 0.8 * (h > 0.5).float()
    a = 2 * math.pi * torch.rand(n)
    xyz = torch.stack([r * torch.cos(a), r * torch.sin(a), 14 * h + 2], 1)
    xyz = xyz + 0.1 * torch.randn(n, 3)
    return xyz


def one_tree(kind):
    centre = torch.tensor([EAST, NORTH, 610.0]) + torch.rand(3) * torch.tensor([1000.0, 1000.0, 60.0])
    return crown(kind) + centre


class TreeNet(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.point = nn.Sequential(nn.Conv1d(3, 32, 1), nn.ReLU(), nn.Conv1d(32, 64, 1), nn.ReLU(), nn.Conv1d(64, 96, 1))
        self.cls = nn.Sequential(nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, k))

    def forward(self, pts):
        f = self.point(pts.transpose(1, 2))
        return self.cls(f.max(dim=2).values)


def batch():
    y = torch.randint(0, 3, (32,))
    return torch.stack([one_tree(int(k)) for k in y]), y


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.001)
