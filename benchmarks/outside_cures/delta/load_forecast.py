"""Electric load, one step ahead. Gated causal convolutions after the WaveNet tutorial (without the big parts)."""
import torch
from torch import nn
import torch.nn.functional as F

gen = torch.Generator().manual_seed(99)


def windows(n, length=32):
    t = torch.arange(length + 1).float()
    phase = 24 * torch.rand(n, 1, generator=gen)
    week = 1 + 0.4 * torch.randn(n, 1, generator=gen)
    curve = week * torch.sin(6.2832 * (t + phase) / 24) + 0.4 * torch.sin(6.2832 * (t + phase) / 8)
    curve = curve + 0.6 * torch.randn(n, 1, generator=gen) + 0.08 * torch.randn(n, length + 1, generator=gen)
    return curve[:, None, :-1], curve[:, -1:]


train_x, train_y = windows(1500)
val_x, val_y = windows(300)
test_x, test_y = windows(400)


class CausalConv(nn.Conv1d):
    def forward(self, x):
        return super().forward(F.pad(x, ((self.kernel_size[0] - 1) * self.dilation[0], 0)))


class GatedBlock(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        self.filter = CausalConv(channels, channels, 2, dilation=dilation)
        self.gate = CausalConv(channels, channels, 2, dilation=dilation)

    def forward(self, x):
        return torch.tanh(self.filter(x)) * torch.sigmoid(self.gate(x))


class WaveForecast(nn.Module):
    def __init__(self, channels=16, dilations=(1, 2, 4, 8, 1, 2, 4, 8)):
        super().__init__()
        self.inp = nn.Conv1d(1, channels, 1)
        self.blocks = nn.ModuleList(GatedBlock(channels, d) for d in dilations)
        self.out = nn.Conv1d(channels, 1, 1)

    def forward(self, x):
        x = self.inp(x)
        for block in self.blocks:
            x = block(x)
        return self.out(x)[:, :, -1]


def model():
    return WaveForecast()


def data():
    for idx in torch.randperm(len(train_x)).split(32):
        yield train_x[idx], train_y[idx]


loss = nn.L1Loss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def mae(model, x, y):
    model.eval()
    with torch.no_grad():
        e = (model(x) - y).abs().mean().item()
    model.train()
    return e


def metric(model):
    return mae(model, val_x, val_y)


GOAL = 0.35
HIGHER_IS_BETTER = False
