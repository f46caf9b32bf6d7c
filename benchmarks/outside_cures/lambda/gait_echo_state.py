"""
Gait classification with an echo state network (seminar "unconventional computing").

The reservoir is random and fixed, only the readout learns: that is the whole point of the method.
"""
import torch
from torch import nn

STEPS_PER_WINDOW, CHANNELS, GAITS = 50, 3, 6


def windows(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, GAITS, (n,), generator=g)
    t = torch.arange(STEPS_PER_WINDOW) / 10.0
    base = torch.tensor([2.0, 2.6, 3.3, 2.0, 2.6, 3.3])[y]
    skew = torch.tensor([0.0, 0.0, 0.0, 1.2, 1.2, 1.2])[y]
    phase = 6.2832 * torch.rand(n, generator=g)
    a = base[:, None] * t + phase[:, None]
    x = torch.stack([a.sin(), (2 * a + skew[:, None]).sin(), (a + skew[:, None]).cos()], -1)
    return x + 0.35 * torch.randn(x.shape, generator=g), y


class Reservoir(nn.Module):
    def __init__(self, n_in, size=200, spectral_radius=0.9, leak=0.3, density=0.1):
        super().__init__()
        w = torch.randn(size, size) * (torch.rand(size, size) < density)
        w *= spectral_radius / torch.linalg.eigvals(w).abs().max()
        self.w_in = nn.Parameter(torch.rand(size, n_in) * 2 - 1, requires_grad=False)
        self.w = nn.Parameter(w, requires_grad=False)
        self.leak = leak

    @torch.no_grad()
    def forward(self, x):
        h = x.new_zeros(len(x), len(self.w))
        states = []
        for u in x.unbind(1):
            h = (1 - self.leak) * h + self.leak * torch.tanh(u @ self.w_in.T + h @ self.w.T)
            states.append(h)
        return torch.stack(states, 1)


class EchoStateClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.reservoir = Reservoir(CHANNELS)
        self.readout = nn.Linear(2 * 200, GAITS)

    def forward(self, x):
        s = self.reservoir(x)[:, 15:]  # washout
        return self.readout(torch.cat([s.abs().mean(1), s[:, 1:].mul(s[:, :-1]).mean(1)], 1))


def model():
    return EchoStateClassifier()


_x, _y = windows(2000, seed=6)


def data():
    for i in torch.randperm(len(_y)).split(50):
        yield _x[i], _y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(trainable, lr=5e-2)
