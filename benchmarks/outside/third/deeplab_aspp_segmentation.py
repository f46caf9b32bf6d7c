import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

D = torch.tensor(load_digits().images / 16, dtype=torch.float32)


def cbr(i, o, k=3, **kw):
    return nn.Sequential(nn.Conv2d(i, o, k, bias=False, **kw), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class ASPP(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.branches = nn.ModuleList([cbr(i, o, 1)] + [cbr(i, o, padding=r, dilation=r) for r in (1, 2, 3)])
        self.pool = cbr(i, o, 1)
        self.project = cbr(5 * o, o, 1)

    def forward(self, x):
        p = self.pool(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([b(x) for b in self.branches] + [p], 1))


class DeepLab(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.backbone = nn.Sequential(cbr(1, 12, padding=1), cbr(12, 24, padding=1, stride=2), cbr(24, 24, padding=2, dilation=2))
        self.aspp = ASPP(24, 16)
        self.classifier = nn.Conv2d(16, classes, 1)

    def forward(self, x):
        size = x.shape[2:]
        return F.interpolate(self.classifier(self.aspp(self.backbone(x))), size=size, mode="bilinear", align_corners=False)


def criterion(out, mask):
    return F.cross_entropy(out, mask)


def batch(n=24):
    i = torch.randint(len(D), (n,))
    img = 0.2 * torch.rand(n, 1, 16, 16)
    mask = torch.zeros(n, 16, 16, dtype=torch.long)
    img[:, 0, 4:12, 4:12] += D[i]
    mask[:, 4:12, 4:12] = (D[i] > 0.3).long() + (D[i] > 0.8).long()
    return img, mask


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
