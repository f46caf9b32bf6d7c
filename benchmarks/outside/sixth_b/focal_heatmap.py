"""CenterNet-like key point heat map; prior of one per cent in the last bias (RetinaNet trick)."""
import math
import torch
import torch.nn as nn


class KeypointNet(nn.Module):
    def __init__(self, c=12, prior=0.01):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1), nn.GroupNorm(4, c), nn.ReLU(),
            nn.Conv2d(c, c, 3, padding=1), nn.GroupNorm(4, c), nn.ReLU(),
        )
        self.heat = nn.Conv2d(c, 1, 3, padding=1)
        nn.init.normal_(self.heat.weight, std=0.01)
        nn.init.constant_(self.heat.bias, -math.log((1 - prior) / prior))

    def forward(self, x):
        return self.heat(self.features(x))


def batch(n=16, s=20):
    img = 0.3 * torch.randn(n, 1, s, s)
    hot = torch.zeros(n, 1, s, s)
    for b in range(n):
        for _ in range(4):
            y, x = torch.randint(2, s - 2, (2,)).tolist()
            img[b, 0, y - 1:y + 2, x] += 1.5
            img[b, 0, y, x - 1:x + 2] += 1.5
            hot[b, 0, y, x] = 1
    return img, hot


def loss(logit, hot, gamma=2.0):
    p = torch.sigmoid(logit)
    ce = nn.functional.binary_cross_entropy_with_logits(logit, hot, reduction="none")
    pt = p * hot + (1 - p) * (1 - hot)
    return (ce * (1 - pt) ** gamma).sum() / hot.sum()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
