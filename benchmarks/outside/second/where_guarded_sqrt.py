import torch
from torch import nn


class Physics(nn.Module):
    """Learns drag from launch conditions; speed comes from an energy balance."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 1))
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, launch):
        v2 = 2 * self.energy(launch).squeeze(-1)
        # no negative energies please
        speed = torch.where(v2 > 0, v2.sqrt(), torch.zeros_like(v2))
        return self.gain * speed


def batch(n=96):
    launch = torch.rand(n, 3) * 2 - 0.5
    drag = 0.3 * launch[:, 1] ** 2
    return launch, (launch[:, 0] + 1.5 - drag).clamp(min=0).sqrt()


def loss(v, v_true):
    return nn.functional.smooth_l1_loss(v, v_true)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
