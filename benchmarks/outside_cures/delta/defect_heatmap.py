"""Surface inspection: heat map of scratches on 16x16 crops. Focal loss and prior from the RetinaNet paper."""
import math

import torch
from torch import nn
import torch.nn.functional as F

G = torch.Generator().manual_seed(3)


def crops(n, size=16):
    img = 0.4 * torch.randn(n, 1, size, size, generator=G)
    mask = torch.zeros(n, 1, size, size)
    for k in range(n):
        if torch.rand(1, generator=G) < 0.7:
            r, c = torch.randint(2, size - 2, (2,), generator=G).tolist()
            length = int(torch.randint(4, 9, (1,), generator=G))
            if torch.rand(1, generator=G) < 0.5:
                mask[k, 0, r, max(0, c - length // 2):c + length // 2] = 1
            else:
                mask[k, 0, max(0, r - length // 2):r + length // 2, c] = 1
    return img + 1.3 * mask, mask


train_x, train_m = crops(800)
val_x, val_m = crops(150)
test_x, test_m = crops(200)


class FocalLoss(nn.Module):
    def __init__(self, alpha=0.25, gamma=2.0):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, logit, target):
        ce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
        p = logit.sigmoid()
        pt = p * target + (1 - p) * (1 - target)
        a = self.alpha * target + (1 - self.alpha) * (1 - target)
        return (a * (1 - pt) ** self.gamma * ce).sum() / target.sum().clamp(min=1)


class Heatmap(nn.Module):
    def __init__(self, ch=16, prior=0.01):
        super().__init__()
        self.subnet = nn.Sequential(
            nn.Conv2d(1, ch, 3, padding=1), nn.ReLU(),
            nn.Conv2d(ch, ch, 3, padding=1), nn.ReLU(),
            nn.Conv2d(ch, ch, 3, padding=1), nn.ReLU(),
        )
        self.score = nn.Conv2d(ch, 1, 3, padding=1)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
                nn.init.constant_(m.bias, -math.log((1 - prior) / prior))  # start from "no defect anywhere"

    def forward(self, x):
        return self.score(self.subnet(x))


def model():
    return Heatmap()


def data():
    for i in torch.randperm(len(train_x)).split(32):
        yield train_x[i], train_m[i]


loss = FocalLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def iou(model, x, m):
    with torch.no_grad():
        hit = model(x).sigmoid() > 0.5
    m = m.bool()
    return ((hit & m).sum() / (hit | m).sum().clamp(min=1)).item()


def metric(model):
    return iou(model, val_x, val_m)


GOAL = 0.45
HIGHER_IS_BETTER = True
