"""Toy version of our nuclei segmentation (32x32 crops), the real one runs on 512x512."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def double_conv(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
        nn.Conv2d(cout, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, n_channels=1, n_classes=1, f=6):
        super().__init__()
        self.down1 = double_conv(n_channels, f)
        self.down2 = double_conv(f, 2 * f)
        self.bottom = double_conv(2 * f, 4 * f)
        self.up2 = nn.ConvTranspose2d(4 * f, 2 * f, 2, stride=2)
        self.dec2 = double_conv(4 * f, 2 * f)
        self.up1 = nn.ConvTranspose2d(2 * f, f, 2, stride=2)
        self.dec1 = double_conv(2 * f, f)
        self.outc = nn.Conv2d(f, n_classes, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        x = self.dec2(torch.cat([self.up2(c), b], 1))
        x = self.dec1(torch.cat([self.up1(x), a], 1))
        return torch.sigmoid(self.outc(x))


def batch(n=8, size=32):
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    mask = torch.zeros(n, size, size)
    for _ in range(3):
        cy, cx = torch.rand(2, n, 1, 1) * size
        r = 1.5 + 1.5 * torch.rand(n, 1, 1)
        mask = torch.maximum(mask, ((yy - cy) ** 2 + (xx - cx) ** 2 < r ** 2).float())
    img = 1.2 * F.avg_pool2d(mask[:, None], 3, 1, 1) + 0.4 * torch.randn(n, 1, size, size)
    return (img - img.mean()) / img.std(), mask[:, None]


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
