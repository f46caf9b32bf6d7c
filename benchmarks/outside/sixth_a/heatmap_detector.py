import math

import torch
from torch import nn
import torch.nn.functional as F


def init_weights(module, prior=0.01):
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=0.05)
            nn.init.constant_(m.bias, -math.log((1 - prior) / prior))


class CenterHeatmap(nn.Module):
    def __init__(self, ch=16):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.c1 = nn.Conv2d(ch, ch, 3, padding=1)
        self.c2 = nn.Conv2d(ch, ch, 3, padding=1)
        self.heat = nn.Conv2d(ch, 1, 1)
        init_weights(self)

    def forward(self, img):
        h = F.relu(self.stem(img))
        h = F.relu(self.c1(h))
        h = F.relu(self.c2(h))
        return self.heat(h)


def batch(n=16, s=20):
    heat = torch.zeros(n, 1, s, s)
    at = torch.randint(2, s - 2, (n, 4, 2))
    for j in range(4):
        heat[torch.arange(n), 0, at[:, j, 0], at[:, j, 1]] = 1
    img = F.avg_pool2d(heat, 3, 1, 1) * 9 + 0.3 * torch.randn(n, 1, s, s)
    return img, heat


def loss(logits, heat, gamma=2.0):
    bce = F.binary_cross_entropy_with_logits(logits, heat, reduction="none")
    p = torch.sigmoid(logits)
    w = torch.where(heat > 0, (1 - p) ** gamma, p ** gamma)
    return (w * bce).sum() / heat.sum()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
