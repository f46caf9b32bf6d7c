# Which came first in the batch, valve opening or pressure peak?  (process engineering, reactor 3)
# Sensor traces of 24 ticks, three channels. Own recurrent loop because we
# want to log the state of every tick.

import torch
from torch import nn

T = 24


def make_batches(n, seed):
    gen = torch.Generator().manual_seed(seed)
    x = 0.1 * torch.randn(n, T, 3, generator=gen)
    a = torch.randint(1, 16, (n,), generator=gen)
    b = torch.randint(1, 16, (n,), generator=gen)
    b = torch.where(a == b, a + 1, b)
    row = torch.arange(n)
    x[row, a, 0] += 2.0  # valve opens
    x[row, b, 1] += 2.0  # pressure peak
    # third channel: temperature, drifting
    x[:, :, 2] += torch.cumsum(0.03 * torch.randn(n, T, generator=gen), 1)
    return x, (a < b).float()


class EventOrder(nn.Module):

    def __init__(self, hidden=32):
        super().__init__()
        self.hidden = hidden
        self.cell = nn.GRUCell(3, hidden)
        self.readout = nn.Linear(hidden, 1)
        self.trace = None

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.hidden)
        trace = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            h = h.detach() if t < x.shape[1] - 1 else h  # keeps memory flat
            trace.append(h.detach().mean(0))
        self.trace = torch.stack(trace)
        return self.readout(h).squeeze(1)


X_train, y_train = make_batches(3000, seed=30)


def model():
    return EventOrder()


def data():
    shuffled = torch.randperm(len(X_train))
    return [(X_train[i], y_train[i]) for i in shuffled.split(100)]


loss = nn.BCEWithLogitsLoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=0.01)
