"""RealNVP for novelty detection on a gas plant: density of six (standardised) readings."""
import torch
from torch import nn

D = 6


def plant(n, seed):
    g = torch.Generator().manual_seed(seed)
    load = torch.randn(n, 2, generator=g)
    mode = torch.randint(0, 2, (n, 1), generator=g) * 2.0 - 1
    x = torch.cat(
        [
            load,
            torch.tanh(2 * load[:, :1]) + mode,
            load[:, :1] * load[:, 1:],
            0.7 * mode + load[:, 1:] ** 2,
            torch.sin(2 * load[:, 1:]),
        ],
        1,
    )
    x = x + 0.15 * torch.randn(n, D, generator=g)
    return (x - torch.tensor([0, 0, 0, 0, 1.0, 0])) / torch.tensor([1, 1, 1.3, 1, 1.6, 0.7])


X = plant(4000, 8)


class Coupling(nn.Module):
    def __init__(self, mask, hidden=48):
        super().__init__()
        self.register_buffer("mask", mask)
        self.s = nn.Sequential(nn.Linear(D, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, D))
        self.t = nn.Sequential(nn.Linear(D, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, D))
        for net in (self.s, self.t):
            for m in net:
                if isinstance(m, nn.Linear):
                    nn.init.kaiming_normal_(m.weight)
                    nn.init.zeros_(m.bias)

    def scale(self, x):
        return self.s(x)

    def forward(self, x):
        kept = x * self.mask
        s = self.scale(kept) * (1 - self.mask)
        t = self.t(kept) * (1 - self.mask)
        return kept + (1 - self.mask) * (x * torch.exp(s) + t), s.sum(1)


class RealNVP(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        alternating = torch.arange(D) % 2
        halves = (torch.arange(D) < D // 2).long()
        masks = [alternating, 1 - alternating, halves, 1 - halves]
        self.flow = nn.ModuleList(Coupling(masks[i % 4].float()) for i in range(n))

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for layer in self.flow:
            x, ld = layer(x)
            logdet = logdet + ld
        return x, logdet


def model():
    return RealNVP()


def data():
    for i in torch.randperm(len(X)).split(128):
        yield X[i], X[i]


def loss(out, _):
    z, logdet = out
    logp = -0.5 * (z**2).sum(1) - 0.919 * D
    return -(logp + logdet).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
