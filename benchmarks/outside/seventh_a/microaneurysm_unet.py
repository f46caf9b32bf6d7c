"""Tiny bright dots in fundus patches (~1 % of the pixels), U-Net with BCE + Dice."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def patches(n=8, s=32):
    mask = (torch.rand(n, 1, s, s) < 0.004).float()
    mask = F.max_pool2d(mask, 2, 1, 1)[..., :s, :s]
    img = 1.5 * mask + 0.4 * torch.randn(n, 1, s, s) + torch.linspace(-0.5, 0.5, s)
    return img, mask


class Conv(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.GroupNorm(4, o), nn.SiLU())


class UNet(nn.Module):
    def __init__(self, w=12, prior=0.01):
        super().__init__()
        self.e1, self.e2, self.b = Conv(1, w), Conv(w, 2 * w), Conv(2 * w, 2 * w)
        self.d2, self.d1 = Conv(4 * w, w), Conv(2 * w, w)
        self.head = nn.Conv2d(w, 1, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, -torch.log(torch.tensor((1 - prior) / prior)).item())

    def forward(self, x):
        a = self.e1(x)
        b = self.e2(F.max_pool2d(a, 2))
        m = self.b(F.max_pool2d(b, 2))
        u = self.d2(torch.cat([F.interpolate(m, scale_factor=2), b], 1))
        u = self.d1(torch.cat([F.interpolate(u, scale_factor=2), a], 1))
        return self.head(u)


def loss(logits, mask):
    p = logits.sigmoid()
    dice = 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, mask) + dice


batch = patches


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)
