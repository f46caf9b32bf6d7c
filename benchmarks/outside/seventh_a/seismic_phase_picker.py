"""P / S / noise windows of three-component seismograms."""
import torch
from torch import nn


def windows(n=48, length=96):
    y = torch.randint(0, 3, (n,))
    t = torch.arange(length) / 100.0
    x = 0.5 * torch.randn(n, 3, length)
    onset = torch.randint(20, 60, (n,)) / 100.0
    for i in range(n):
        if y[i] == 0:
            continue
        f, comp = (12.0, 0) if y[i] == 1 else (5.0, 1)
        on = (t > onset[i]).float()
        x[i, comp] += 2.0 * on * torch.sin(6.283 * f * (t - onset[i])) * torch.exp(-3 * (t - onset[i]).clamp(min=0))
    return x / x.std(dim=(1, 2), keepdim=True), y


class PhaseNetSmall(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(3, 16, 7, stride=2, padding=3)
        self.conv2 = nn.Conv1d(16, 32, 7, stride=2, padding=3)
        self.conv3 = nn.Conv1d(32, 32, 7, stride=2, padding=3)
        self.fc = nn.Linear(32, 3)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x):
        for c in (self.conv1, self.conv2, self.conv3):
            x = self.act(c(x))
        return self.fc(x.amax(-1))


def batch():
    return windows()


loss = "cross_entropy"


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
