# 2x super resolution of random smooth textures; global skip = bicubic upsampling
import torch
import torch.nn.functional as F
from torch import nn


class EDSRBlock(nn.Module):
    def __init__(self, c, res_scale=0.1):
        super().__init__()
        self.a = nn.Conv2d(c, c, 3, padding=1)
        self.b = nn.Conv2d(c, c, 3, padding=1)
        self.res_scale = res_scale

    def forward(self, x):
        return x + self.res_scale * self.b(F.relu(self.a(x)))


class EDSR(nn.Module):
    def __init__(self, c=24, n=6):
        super().__init__()
        self.head = nn.Conv2d(1, c, 3, padding=1)
        self.body = nn.Sequential(*[EDSRBlock(c) for _ in range(n)])
        self.tail = nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x):
        h = self.head(x)
        return self.tail(h + self.body(h)) + F.interpolate(x, scale_factor=2, mode="bicubic")


def batch(n=16):
    hr = F.interpolate(torch.randn(n, 1, 6, 6), size=24, mode="bicubic")
    hr = torch.sign(hr) * hr.abs().clamp(max=1)
    return F.avg_pool2d(hr, 2), hr


loss_fn = nn.L1Loss()


def model():
    return EDSR()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
