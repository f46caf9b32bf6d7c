"""Elliptical / spiral / edge-on from small cutouts."""
import torch, math
import torch.nn as nn
import torch.nn.functional as F


def cutouts(n=32, s=16):
    y = torch.randint(0, 3, (n,))
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, s), torch.linspace(-1, 1, s), indexing="ij")
    th = torch.rand(n, 1, 1) * math.pi
    u = xx * th.cos() + yy * th.sin()
    v = -xx * th.sin() + yy * th.cos()
    r = torch.sqrt(u ** 2 + v ** 2) + 1e-3
    phi = torch.atan2(v, u)
    ell = torch.exp(-(r / 0.4) ** 2)
    spi = torch.exp(-(r / 0.7) ** 2) * (0.6 + 0.6 * torch.cos(2 * phi - 9 * r))
    edge = torch.exp(-(u / 0.7) ** 2 - (v / 0.12) ** 2)
    img = torch.stack([ell, spi, edge], 1)[torch.arange(n), y]
    img = img + 0.1 * torch.randn(n, s, s)
    return (img - 0.2)[:, None] / 0.3, y


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1 = nn.Conv2d(c, c, 3, padding=1)
        self.c2 = nn.Conv2d(c, c, 3, padding=1)
        for m in (self.c1, self.c2):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)

    def forward(self, x):
        return F.relu(x + self.c2(F.relu(self.c1(x))))


class GalaxyNet(nn.Module):
    def __init__(self, c=12, blocks=12):
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*[ResBlock(c) for _ in range(blocks)])
        self.fc = nn.Linear(c, 3)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        return self.fc(x.mean((2, 3)))


batch = cutouts
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
