# Leaky integrate-and-fire layers on digits, rates read out over 8 time steps.
import torch
from sklearn.datasets import load_digits
from torch import nn

raw = load_digits()
pixels = torch.tensor(raw.data / 16.0, dtype=torch.float32)
label = torch.tensor(raw.target)
TRAIN = 1297


def spike(v):
    return (v > 1.0).float()


class LIF(nn.Module):
    def __init__(self, n_in, n_out, leak=0.8):
        super().__init__()
        self.syn = nn.Linear(n_in, n_out)
        self.leak = leak
        nn.init.normal_(self.syn.weight, 0, 2 / n_in**0.5)

    def forward(self, currents):
        v, out = 0.0, []
        for c in currents:
            v = self.leak * v + self.syn(c)
            s = spike(v)
            v = v * (1 - s)
            out.append(s)
        return out


class SpikingNet(nn.Module):
    def __init__(self, steps=8):
        super().__init__()
        self.steps = steps
        self.first = LIF(64, 14)
        self.second = LIF(14, 14)
        self.read = nn.Linear(14, 10)

    def forward(self, x):
        spikes = self.second(self.first([x] * self.steps))
        return self.read(torch.stack(spikes).mean(0))


def model():
    return SpikingNet()


def data(seed=0):
    for i in torch.randperm(TRAIN, generator=torch.Generator().manual_seed(seed)).split(64):
        yield pixels[i], label[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
