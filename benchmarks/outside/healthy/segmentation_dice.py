"""Find the disc in a noisy picture; Dice + BCE, very few positive pixels."""

import torch
from torch import nn


def discs(n=16, size=24):
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    c = torch.randint(4, size - 4, (n, 2, 1, 1))
    r = torch.randint(2, 5, (n, 1, 1))
    mask = ((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2 <= r**2).float()
    img = mask * 1.5 + 0.7 * torch.randn(n, size, size)
    return img.unsqueeze(1), mask.unsqueeze(1)


class SegNet(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1),
            nn.InstanceNorm2d(c, affine=True),
            nn.LeakyReLU(0.01),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1),
            nn.InstanceNorm2d(2 * c, affine=True),
            nn.LeakyReLU(0.01),
            nn.Conv2d(2 * c, 2 * c, 3, padding=2, dilation=2),
            nn.InstanceNorm2d(2 * c, affine=True),
            nn.LeakyReLU(0.01),
        )
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.dec = nn.Conv2d(2 * c + 1, 1, 3, padding=1)

    def forward(self, x):
        return self.dec(torch.cat([self.up(self.enc(x)), x], dim=1))


def loss(output, target):
    p = output.sigmoid()
    inter = (p * target).sum((1, 2, 3))
    dice = 1 - (2 * inter + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
    return dice.mean() + nn.functional.binary_cross_entropy_with_logits(output, target)


def model():
    return SegNet()


def batch():
    return discs()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
