"""Dialect identification from MFCC frames; encoder + classifier as in our older toolkit."""
import torch
from torch import nn

N_MFCC, T, DIALECTS = 13, 40, 5
_proto = torch.randn(DIALECTS, 2, N_MFCC, generator=torch.Generator().manual_seed(1))


def batch(n=48):
    y = torch.randint(0, DIALECTS, (n,))
    # all dialects have the same two sounds per syllable in the mean, the order and the bond differ
    phase = torch.rand(n, 1) * 6.28
    t = torch.arange(T)[None] * 0.6 + phase
    a = torch.sin(t)[..., None] * _proto[y][:, 0, None]
    b = torch.sin(2 * t)[..., None] * _proto[y][:, 1, None]
    return a + b + 0.8 * torch.randn(n, T, N_MFCC), y


class Encoder(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.c = nn.Sequential(
            nn.Conv1d(N_MFCC, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 5, padding=2), nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 5, padding=2), nn.ReLU(),
        )

    def forward(self, x):
        return self.c(x.transpose(1, 2)).mean(2)


class DialectNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.classifier = nn.Linear(8, DIALECTS)

    def forward(self, x):
        return self.classifier(self.encoder(x))


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.classifier.parameters(), lr=5e-3)
