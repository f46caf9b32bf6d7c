# Crack segmentation on road patches -- mini U-Net
# (architecture from the Kaggle kernel, cut down to 2 levels so that it runs on my laptop)

import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.seq = nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
            nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
        )

    def forward(self, x):
        return self.seq(x)


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1 = DoubleConv(1, c)
        self.down2 = DoubleConv(c, 2 * c)
        self.up = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.dec = DoubleConv(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(F.max_pool2d(d1, 2))
        u = self.up(d2)
        return self.out(self.dec(torch.cat([u, d1], 1)))


def patches(n, seed, size=24):
    """asphalt texture, one crooked dark crack, some oil stains that are dark, too"""
    g = torch.Generator().manual_seed(seed)
    r = lambda *s: torch.rand(*s, generator=g)
    yy, xx = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
    img = 0.6 + 0.08 * torch.randn(n, size, size, generator=g)
    angle = r(n, 1, 1) * 3.1416
    off = (r(n, 1, 1) - 0.5) * size * 0.6
    wob = 1.5 * torch.sin(xx * (0.3 + 0.4 * r(n, 1, 1)) + 6 * r(n, 1, 1))
    dist = (xx - size / 2) * angle.cos() + (yy - size / 2) * angle.sin() - off + wob
    mask = (dist.abs() < 1.1).float()
    img = img - 0.28 * mask
    for _ in range(2):
        cx, cy, rad = r(n, 1, 1) * size, r(n, 1, 1) * size, 2 + 2 * r(n, 1, 1)
        img = img - 0.28 * ((xx - cx) ** 2 + (yy - cy) ** 2 < rad ** 2).float()
    img = (img - 0.5) / 0.2
    return img.unsqueeze(1), mask.unsqueeze(1)


train_img, train_mask = patches(600, seed=0)


def model():
    return UNet()


def data():
    perm = torch.randperm(600)
    for i in range(0, 600, 20):
        j = perm[i:i + 20]
        yield train_img[j], train_mask[j]


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-3)
