"""CTC: pulses of unknown width at unknown places spell a word."""

import torch
from torch import nn

CODE = torch.eye(6)


class AcousticModel(nn.Module):
    def __init__(self, h=48, labels=7):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(6, h, 5, padding=2), nn.ReLU())
        self.rnn = nn.GRU(h, h, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * h, labels)

    def forward(self, x):
        h = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return self.fc(self.rnn(h)[0]).log_softmax(-1).transpose(0, 1)


def batch(n=16, T=30, words=4):
    y = torch.randint(1, 7, (n, words))
    x = 0.3 * torch.randn(n, T, 6)
    for i in range(n):
        for j in range(words):
            a = 7 * j + int(torch.randint(1, 4, ()))
            x[i, a : a + int(torch.randint(1, 4, ()))] += CODE[y[i, j] - 1] * 1.5
    return x, y


def loss(log_probs, y):
    T, n, _ = log_probs.shape
    return nn.functional.ctc_loss(
        log_probs, y, torch.full((n,), T), torch.full((n,), y.shape[1]), blank=0
    )


def model():
    return AcousticModel()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
