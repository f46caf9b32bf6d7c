"""Short binary codes for part images: 24 bits per image, classified from the code alone.

Forward: hard bits (-1/+1).  Backward: clipped straight-through.
"""
import torch
from sklearn.datasets import load_digits
from torch import nn


class HardBit(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class Coder(nn.Module):
    def __init__(self, bits=24):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(128, bits), nn.BatchNorm1d(bits),
        )

    def forward(self, x):
        return HardBit.apply(self.features(x))


class CodeClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.coder = Coder()
        self.readout = nn.Linear(24, 10)

    def forward(self, x):
        return self.readout(self.coder(x))


_bunch = load_digits()
_images = torch.tensor(_bunch.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
_labels = torch.tensor(_bunch.target)
_mix = torch.randperm(len(_labels), generator=torch.Generator().manual_seed(0))
train_x, train_y = _images[_mix[:1400]], _labels[_mix[:1400]]
test_x, test_y = _images[_mix[1400:]], _labels[_mix[1400:]]


def model():
    return CodeClassifier()


def data():
    for i in torch.randperm(1400).split(70):
        yield train_x[i], train_y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
