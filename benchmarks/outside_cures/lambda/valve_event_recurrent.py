"""valve_event_recurrent.py - which of 5 valves was opened? (predictive maintenance, PoC for customer)

Each record has 70 time steps of 6 sensor channels. Somewhere in the first dozen steps one of five valves
is operated, which leaves a short signature on the channels. After that only normal operation (noise).
At the end of the record we need to know which valve it was.
"""
import math
import torch
from torch import nn

T, C, VALVES = 70, 6, 5
_sig = torch.randn(VALVES, 3, C, generator=torch.Generator().manual_seed(4)) * 2.0


def records(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(n, T, C, generator=g)
    y = torch.randint(0, VALVES, (n,), generator=g)
    t0 = torch.randint(0, 10, (n,), generator=g)
    for i in range(n):
        x[i, t0[i]:t0[i] + 3] += _sig[y[i]]
    return x, y


class GatedCell(nn.Module):
    """Small gated unit, one gate only (cheaper than GRU on the edge device)."""

    def __init__(self, n_in, n_hid):
        super().__init__()
        self.n_hid = n_hid
        self.wz = nn.Linear(n_in + n_hid, n_hid)
        self.wc = nn.Linear(n_in + n_hid, n_hid)
        self.reset_parameters()

    def reset_parameters(self):
        bound = 1.0 / math.sqrt(self.n_hid)
        for w in (self.wz.weight, self.wc.weight):
            nn.init.uniform_(w, -bound, bound)
        nn.init.zeros_(self.wc.bias)
        # gate bias of one, helps to remember (Jozefowicz et al. 2015)
        nn.init.ones_(self.wz.bias)

    def forward(self, x, h):
        xh = torch.cat([x, h], -1)
        z = torch.sigmoid(self.wz(xh))
        cand = torch.tanh(self.wc(xh))
        return (1 - z) * h + z * cand


class ValveNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.cell = GatedCell(C, hidden)
        self.out = nn.Linear(hidden, VALVES)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.cell.n_hid)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)


def model():
    return ValveNet()


_x, _y = records(1600, seed=0)
data = list(zip(_x.split(64), _y.split(64)))

loss = nn.CrossEntropyLoss()

CLIP_GRAD_NORM = 1.0


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
