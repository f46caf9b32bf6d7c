import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True),
            nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True),
        )

    def forward(self, x):
        return self.net(x)


class UNet(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.d1, self.d2, self.mid = DoubleConv(1, ch), DoubleConv(ch, 2 * ch), DoubleConv(2 * ch, 4 * ch)
        self.up2 = nn.ConvTranspose2d(4 * ch, 2 * ch, 2, 2)
        self.u2 = DoubleConv(4 * ch, 2 * ch)
        self.up1 = nn.ConvTranspose2d(2 * ch, ch, 2, 2)
        self.u1 = DoubleConv(2 * ch, ch)
        self.out = nn.Conv2d(ch, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        c = self.mid(F.max_pool2d(b, 2))
        y = self.u2(torch.cat([self.up2(c), b], 1))
        y = self.u1(torch.cat([self.up1(y), a], 1))
        return self.out(y)


def soft_dice(p, t, eps=1.0):
    inter = (p * t).sum((1, 2, 3))
    return (1 - (2 * inter + eps) / (p.sum((1, 2, 3)) + t.sum((1, 2, 3)) + eps)).mean()


def loss(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask) + soft_dice(logits.sigmoid(), mask)


def batch(n=8, s=32):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    cy, cx = torch.randint(6, s - 6, (2, n, 3, 1, 1))
    r = torch.randint(2, 5, (n, 3, 1, 1))
    mask = (((yy - cy) ** 2 + (xx - cx) ** 2) < r ** 2).any(1).float()[:, None]
    img = 0.8 * mask + 0.3 * torch.randn(n, 1, s, s)
    return img, mask


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
