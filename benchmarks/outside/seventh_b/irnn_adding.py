"""IRNN (Le, Jaitly, Hinton 2015) on the adding problem."""
import torch
from torch import nn


class ResidualCell(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.inp = nn.Linear(n_in, n_hid)
        self.rec = nn.Linear(n_hid, n_hid, bias=False)
        nn.init.normal_(self.inp.weight, std=0.1)
        nn.init.zeros_(self.inp.bias)
        nn.init.eye_(self.rec.weight)

    def forward(self, x, h):
        return torch.relu(h + self.inp(x) + self.rec(h))


class IRNN(nn.Module):
    def __init__(self, n_hid=64):
        super().__init__()
        self.n_hid = n_hid
        self.cell = ResidualCell(2, n_hid)
        self.out = nn.Linear(n_hid, 1)

    def forward(self, seq):
        h = seq.new_zeros(seq.shape[0], self.n_hid)
        for t in range(seq.shape[1]):
            h = self.cell(seq[:, t], h)
        return self.out(h).squeeze(1)


def batch(b=64, T=30):
    v = torch.rand(b, T)
    m = torch.zeros(b, T)
    m[torch.arange(b), torch.randint(0, T // 2, (b,))] = 1
    m[torch.arange(b), torch.randint(T // 2, T, (b,))] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


loss = nn.MSELoss()
CLIP_GRAD_NORM = 1.0


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
