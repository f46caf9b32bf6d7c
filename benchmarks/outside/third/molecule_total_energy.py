"""Energies of small molecules (total energies in Hartree x 27.2 = eV, no atom reference subtracted)."""
import torch
from torch import nn


class EnergyNet(nn.Module):
    """sum of atomic contributions from symmetry-function-like features, mean over atoms"""

    def __init__(self):
        super().__init__()
        self.atom = nn.Sequential(nn.Linear(6, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, feats):
        return self.atom(feats).mean(1).squeeze(1)


_w = torch.randn(6, generator=torch.Generator().manual_seed(1))
REFERENCE_EV = -11_000.0


def batch(n=64, atoms=9):
    f = torch.randn(n, atoms, 6)
    binding = torch.tanh(f @ _w).mean(1) + 0.3 * f[..., 0].pow(2).mean(1)
    return f, REFERENCE_EV + 10.0 * binding


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = EnergyNet()
    opt = optimizer(net)
    for i in range(500):
        f, e = batch()
        l = loss(net(f), e)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 100 == 0:
            print(i, l.sqrt().item(), "eV")
