"""Small U-Net for lesion masks on 32x32 patches (synthetic phantom)."""
import torch
from torch import nn


def phantom(n=16, s=32):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    c = torch.rand(n, 2, 1, 1) * (s - 16) + 8
    r = torch.rand(n, 1, 1) * 4 + 4
    mask = (((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2) < r ** 2).float()
    img = 0.9 * mask + 0.35 * torch.randn(n, s, s)
    return img[:, None], mask[:, None]


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
        nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(),
    )


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.d1, self.d2, self.mid = double_conv(1, c), double_conv(c, 2 * c), double_conv(2 * c, 4 * c)
        self.pool = nn.MaxPool2d(2)
        self.up2, self.up1 = nn.ConvTranspose2d(4 * c, 2 * c, 2, 2), nn.ConvTranspose2d(2 * c, c, 2, 2)
        self.u2, self.u1 = double_conv(4 * c, 2 * c), double_conv(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(self.pool(a))
        m = self.mid(self.pool(b))
        b = self.u2(torch.cat([self.up2(m), b], 1))
        a = self.u1(torch.cat([self.up1(b), a], 1))
        return torch.sigmoid(self.out(a))


def dice_loss(pred, target, smooth=1.0):
    pred = torch.round(pred)
    inter = (pred * target).sum((1, 2, 3))
    total = pred.sum((1, 2, 3)) + target.sum((1, 2, 3))
    return 1 - ((2 * inter + smooth) / (total + smooth)).mean()


loss = dice_loss


def batch():
    return phantom()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
