"""Cells on a noisy background, U-Net with two levels, BCE plus dice."""
import torch
from torch import nn


def double_conv(a, b):
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
        nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.down1 = double_conv(1, c)
        self.down2 = double_conv(c, 2 * c)
        self.bottom = double_conv(2 * c, 4 * c)
        self.up2 = nn.ConvTranspose2d(4 * c, 2 * c, 2, stride=2)
        self.conv2 = double_conv(4 * c, 2 * c)
        self.up1 = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.conv1 = double_conv(2 * c, c)
        self.last = nn.Conv2d(c, 1, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        x = self.bottom(self.pool(b))
        x = self.conv2(torch.cat([self.up2(x), b], 1))
        x = self.conv1(torch.cat([self.up1(x), a], 1))
        return self.last(x)


def batch(n=16):
    g = torch.arange(24.0)
    centre = 4 + 16 * torch.rand(n, 3, 2)
    radius = 2 + 2 * torch.rand(n, 3)
    d = (g[None, None, :, None] - centre[..., 0, None, None]) ** 2 + (g[None, None, None, :] - centre[..., 1, None, None]) ** 2
    mask = (d < radius[..., None, None] ** 2).any(1, keepdim=True).float()
    return mask + 0.7 * torch.randn_like(mask), mask


def loss(logits, mask):
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    return nn.functional.binary_cross_entropy_with_logits(logits, mask) + dice


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
