# bearing fault classification from vibration spectra; everything in bf16 to save memory
import math

import torch
import torch.nn as nn

DTYPE = torch.bfloat16
N_CLASSES = 5


def spectra(n, seed):
    g = torch.Generator().manual_seed(seed)
    fault = torch.randint(0, N_CLASSES, (n,), generator=g)
    t = torch.arange(96) / 96.0
    speed = 9 + 2 * torch.rand(n, 1, generator=g)
    signal = torch.sin(2 * math.pi * speed * t)
    for order, amp in ((1.5, 0.8), (2.2, 0.8), (3.1, 0.8), (0.45, 0.8)):
        hit = (fault == [1.5, 2.2, 3.1, 0.45].index(order) + 1).float().unsqueeze(1)
        phase = 6.28 * torch.rand(n, 1, generator=g)
        signal = signal + hit * amp * torch.sin(2 * math.pi * order * speed * t + phase)
    signal = signal + 0.5 * torch.randn(n, 96, generator=g)
    spec = torch.fft.rfft(signal).abs().add(1e-3).log()
    return (spec - spec.mean()) / spec.std(), fault


x_train, y_train = spectra(2500, seed=1)


class FaultNet(nn.Module):
    def __init__(self, width=128):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(49, width), nn.GELU(),
            nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, N_CLASSES),
        )
        self.to(DTYPE)

    def forward(self, x):
        return self.net(x.to(DTYPE)).float()


def model():
    return FaultNet()


def data():
    for idx in torch.randperm(len(x_train)).split(50):
        yield x_train[idx], y_train[idx]


def loss(logits, fault):
    return nn.functional.cross_entropy(logits, fault)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-5)
