import torch
import torch.nn as nn
import torch.nn.functional as F


def double_conv(i, o):
    return nn.Sequential(
        nn.Conv2d(i, o, 3, padding=1),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
        nn.Conv2d(o, o, 3, padding=1),
        nn.BatchNorm2d(o),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, base=8):
        super().__init__()
        self.d1 = double_conv(1, base)
        self.d2 = double_conv(base, base * 2)
        self.mid = double_conv(base * 2, base * 4)
        self.u2 = double_conv(base * 6, base * 2)
        self.u1 = double_conv(base * 3, base)
        self.final = nn.Conv2d(base, 1, 1)
        nn.init.constant_(self.final.bias, -20.0)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        c = self.mid(F.max_pool2d(b, 2))
        b = self.u2(torch.cat([b, F.interpolate(c, scale_factor=2)], dim=1))
        a = self.u1(torch.cat([a, F.interpolate(b, scale_factor=2)], dim=1))
        return torch.sigmoid(self.final(a))


def dice_loss(pred, mask, smooth=1.0):
    inter = (pred * mask).sum(dim=(1, 2, 3))
    total = pred.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3))
    return 1 - ((2 * inter + smooth) / (total + smooth)).mean()


criterion = dice_loss


def batch(n=8, s=32):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    c = torch.rand(n, 2, 1, 1) * 16 + 8
    mask = ((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2 < 36).float()[:, None]
    return mask + 0.4 * torch.randn(n, 1, s, s), mask


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
