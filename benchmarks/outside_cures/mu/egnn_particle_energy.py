"""E(n)-equivariant GNN (Satorras et al. 2021): total energy of a small cluster of particles."""
import torch
from torch import nn

N_PARTICLES = 12


def energy(pos, charge):
    d = torch.cdist(pos, pos)
    pair = charge.unsqueeze(-1) * charge.unsqueeze(-2) * torch.exp(-d)
    mask = ~torch.eye(N_PARTICLES, dtype=torch.bool)
    return (pair * mask).sum((-1, -2)) / 2


def sample(n, seed):
    g = torch.Generator().manual_seed(seed)
    pos = torch.randn(n, N_PARTICLES, 3, generator=g) * (0.7 + torch.rand(n, 1, 1, generator=g))
    charge = torch.where(torch.rand(n, N_PARTICLES, generator=g) < 0.5, -1.0, 1.0)
    return pos, charge, energy(pos, charge).unsqueeze(-1)


class EGCL(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.phi_e = nn.Sequential(nn.Linear(2 * hid + 1, hid), nn.SiLU(), nn.Linear(hid, hid), nn.SiLU())
        self.phi_x = nn.Sequential(nn.Linear(hid, hid), nn.SiLU(), nn.Linear(hid, 1))
        self.phi_h = nn.Sequential(nn.Linear(2 * hid, hid), nn.SiLU(), nn.Linear(hid, hid))

    def forward(self, h, x):
        n = h.size(1)
        diff = x.unsqueeze(2) - x.unsqueeze(1)                   # x_i - x_j
        sq = (diff ** 2).sum(-1, keepdim=True)
        pair = torch.cat([h.unsqueeze(2).expand(-1, -1, n, -1), h.unsqueeze(1).expand(-1, n, -1, -1), sq], -1)
        m = self.phi_e(pair)                                      # eq. 3
        x = x + (diff * self.phi_x(m)).sum(2)                     # eq. 4
        m = m * (1 - torch.eye(n, device=h.device)).unsqueeze(-1)
        h = h + self.phi_h(torch.cat([h, m.sum(2)], -1))          # eq. 5, 6
        return h, x


class EGNN(nn.Module):
    def __init__(self, hid=20, layers=5):
        super().__init__()
        self.embed = nn.Linear(1, hid)
        self.layers = nn.ModuleList([EGCL(hid) for _ in range(layers)])
        self.readout = nn.Sequential(nn.Linear(hid, hid), nn.SiLU(), nn.Linear(hid, 1))

    def forward(self, pos, charge):
        h, x = self.embed(charge.unsqueeze(-1)), pos
        for layer in self.layers:
            h, x = layer(h, x)
        return self.readout(h).sum(1)


POS, CHARGE, ENERGY = sample(3000, seed=31)


def model():
    return EGNN()


def data():
    for i in torch.randperm(len(POS)).split(16):
        yield (POS[i], CHARGE[i]), ENERGY[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
