# tiny audio codec: frames of 32 samples -> 10 integers -> 32 samples
import torch
import torch.nn as nn

torch_rng = torch.Generator().manual_seed(8)


def frames(n):
    t = torch.arange(32) / 32.0
    f = 1 + 2.5 * torch.rand(n, 2, 1, generator=torch_rng)
    p = 6.2832 * torch.rand(n, 2, 1, generator=torch_rng)
    a = torch.rand(n, 2, 1, generator=torch_rng)
    return (a * torch.sin(6.2832 * f * t + p)).sum(1)


train, val, test = frames(2500), frames(400), frames(500)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(32, 96), nn.Linear(96, 10)

    def forward(self, x):
        return self.l2(torch.nn.functional.gelu(self.l1(x)))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(10, 96), nn.Linear(96, 32)

    def forward(self, z):
        return self.l2(torch.nn.functional.gelu(self.l1(z)))


class Codec(nn.Module):
    def __init__(self, step=0.1):
        super().__init__()
        self.step = step
        self.encoder = Encoder()
        self.decoder = Decoder()

    def quantise(self, z):
        return torch.round(z / self.step)   # what goes over the wire

    def forward(self, x):
        code = self.quantise(self.encoder(x))
        return self.decoder(code * self.step)


def model():
    return Codec(step=0.5)


def data():
    for b in train[torch.randperm(len(train))].split(50):
        yield b, b


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    """share of the signal's power that is lost"""
    with torch.no_grad():
        return ((model(val) - val).pow(2).mean() / val.pow(2).mean()).item()


GOAL = 0.15
HIGHER_IS_BETTER = False
