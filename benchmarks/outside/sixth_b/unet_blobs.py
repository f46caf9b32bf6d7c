import torch
import torch.nn as nn
import torch.nn.functional as F


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.d1 = double_conv(1, c)
        self.d2 = double_conv(c, 2 * c)
        self.mid = double_conv(2 * c, 4 * c)
        self.u2 = double_conv(6 * c, 2 * c)
        self.u1 = double_conv(3 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        m = self.mid(F.max_pool2d(b, 2))
        b = self.u2(torch.cat([F.interpolate(m, scale_factor=2), b], 1))
        a = self.u1(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        return torch.sigmoid(self.out(a))


yy, xx = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")


def batch(n=8):
    c = torch.rand(n, 2, 1, 1) * 16 + 4
    r = torch.rand(n, 1, 1) * 2 + 1.5
    mask = ((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2 < r ** 2).float()[:, None]
    return mask * 1.5 + 0.4 * torch.randn(n, 1, 24, 24), mask


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
