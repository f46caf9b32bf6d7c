import torch
import torch.nn.functional as F
from torch import nn


class GatedTCN(nn.Module):
    def __init__(self, c=24, levels=3):
        super().__init__()
        self.c = c
        self.lift = nn.Conv1d(1, c, 1)
        self.convs = nn.ModuleList(nn.Conv1d(c, 2 * c, 2, dilation=2**k) for k in range(levels))
        self.head = nn.Conv1d(c, 1, 1)
        with torch.no_grad():
            for conv in self.convs:
                conv.bias[self.c :] -= 15

    def forward(self, x):
        h = self.lift(x)
        for k, conv in enumerate(self.convs):
            a, b = conv(F.pad(h, (2**k, 0))).chunk(2, dim=1)
            h = torch.tanh(a) * torch.sigmoid(b)
        return self.head(h)


def batch(n=32, T=64):
    t = torch.arange(T + 1) * 0.3
    phase = torch.rand(n, 1) * 6.28
    freq = 0.5 + torch.rand(n, 1)
    wave = torch.sin(freq * t + phase)[:, None]
    return wave[..., :-1], wave[..., 1:]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4)
