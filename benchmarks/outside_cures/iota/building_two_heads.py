"""
Smart building: one trunk, two heads.

  kwh        energy used in the next hour, in Wh as metered
  occupied   empty / office hours / event

Trunk is an MLP-Mixer-ish thing over (24 hours x 4 sensors), see Tolstikhin et al. 2021.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

HOURS, SENSORS = 24, 4


def building(n, seed):
    g = torch.Generator().manual_seed(seed)
    state = torch.randint(0, 3, (n,), generator=g)
    t = torch.arange(HOURS) / HOURS
    outside = torch.randn(n, 1, generator=g)
    x = 0.6 * torch.randn(n, HOURS, SENSORS, generator=g)
    x[:, :, 0] += outside + torch.sin(6.283 * t)
    co2 = torch.tensor([0.0, 0.5, 1.0])[state][:, None]
    bump = torch.where(state[:, None] == 2, (t > 0.7).float(), (t > 0.35).float())
    x[:, :, 1] += co2 * bump
    x[:, :, 2] += 0.7 * co2 * bump * torch.cos(12 * t)
    wh = 18000 + 4000 * outside.squeeze(1).abs() + torch.tensor([0.0, 5000.0, 9000.0])[state]
    wh = wh + 500 * torch.randn(n, generator=g)
    return x, (wh, state)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.over_time = nn.Sequential(nn.Linear(tokens, 48), nn.GELU(), nn.Linear(48, tokens))
        self.over_dim = nn.Sequential(nn.Linear(dim, 48), nn.GELU(), nn.Linear(48, dim))

    def forward(self, x):
        x = x + self.over_time(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_dim(self.n2(x))


class BuildingNet(nn.Module):
    def __init__(self, dim=24, depth=2):
        super().__init__()
        self.embed = nn.Linear(SENSORS, dim)
        self.mixer = nn.Sequential(*[MixerBlock(HOURS, dim) for _ in range(depth)])
        self.energy = nn.Linear(dim, 1)
        self.occupancy = nn.Linear(dim, 3)

    def forward(self, x):
        h = self.mixer(self.embed(x)).mean(1)
        return self.energy(h).squeeze(1), self.occupancy(h)


X, (WH, STATE) = building(3000, 70)


def model():
    return BuildingNet()


def data():
    for i in torch.randperm(len(X)).split(64):
        yield X[i], (WH[i], STATE[i])


def loss(out, target):
    wh, occ = out
    return F.mse_loss(wh, target[0]) + F.cross_entropy(occ, target[1])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
