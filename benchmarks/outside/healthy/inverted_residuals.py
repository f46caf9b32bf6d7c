# MobileNetV2 blocks with ReLU6, from my own notes
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def conv_bn(i, o, k=1, s=1, groups=1, act=True):
    m = [nn.Conv2d(i, o, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    if act:
        m.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*m)


class InvertedResidual(nn.Module):
    def __init__(self, i, o, s, t):
        super().__init__()
        h = i * t
        self.use_res = s == 1 and i == o
        self.conv = nn.Sequential(
            conv_bn(i, h), conv_bn(h, h, 3, s, groups=h), conv_bn(h, o, act=False)
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res else self.conv(x)


class MobileDigits(nn.Module):
    cfg = [(2, 16, 2, 1), (4, 24, 2, 2), (4, 32, 2, 2)]

    def __init__(self, n_class=10):
        super().__init__()
        feats, c = [conv_bn(1, 16, 3)], 16
        for t, o, n, s in self.cfg:
            for j in range(n):
                feats.append(InvertedResidual(c, o, s if j == 0 else 1, t))
                c = o
        feats += [conv_bn(c, 96), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.features = nn.Sequential(*feats)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(96, n_class))

    def forward(self, x):
        return self.classifier(self.features(x))


def batch():
    d = load_digits()
    k = torch.randperm(1797)[:96]
    x = torch.tensor(d.images[:, None], dtype=torch.float32)[k]
    return (x - 4.88) / 6.02, torch.tensor(d.target)[k]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=4e-5)
