"""Gated PixelCNN on binarised digits; type A and B masks zero part of the kernels."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class MaskedConv2d(nn.Conv2d):
    def __init__(self, kind, *args, **kw):
        super().__init__(*args, **kw)
        self.register_buffer("mask", torch.ones_like(self.weight))
        _, _, h, w = self.weight.shape
        self.mask[:, :, h // 2, w // 2 + (kind == "B") :] = 0
        self.mask[:, :, h // 2 + 1 :] = 0

    def forward(self, x):
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class GatedResidual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = MaskedConv2d("B", c, 2 * c, 3, padding=1)
        self.out = nn.Conv2d(c, c, 1)

    def forward(self, x):
        a, b = self.conv(x).chunk(2, 1)
        return x + self.out(torch.tanh(a) * torch.sigmoid(b))


class PixelCNN(nn.Module):
    def __init__(self, c=24, n=4):
        super().__init__()
        self.first = MaskedConv2d("A", 1, c, 5, padding=2)
        self.body = nn.Sequential(*[GatedResidual(c) for _ in range(n)])
        self.last = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        return self.last(torch.relu(self.body(self.first(x))))


images = torch.tensor(load_digits().images > 7).float().unsqueeze(1)


def batch(n=32):
    x = images[torch.randint(len(images), (n,))]
    return x, x


loss = nn.BCEWithLogitsLoss()


def model():
    return PixelCNN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
