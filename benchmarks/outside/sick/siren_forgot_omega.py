import numpy as np
import torch
from torch import nn


class SineLayer(nn.Module):
    def __init__(self, in_features, out_features, is_first=False, omega_0=30):
        super().__init__()
        self.omega_0 = omega_0
        self.linear = nn.Linear(in_features, out_features)
        with torch.no_grad():
            if is_first:
                self.linear.weight.uniform_(-1 / in_features, 1 / in_features)
            else:
                bound = np.sqrt(6 / in_features) / omega_0
                self.linear.weight.uniform_(-bound, bound)
            self.linear.bias.zero_()

    def forward(self, x):
        return torch.sin(self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden=64, layers=5):
        super().__init__()
        net = [SineLayer(1, hidden, is_first=True)]
        net += [SineLayer(hidden, hidden) for _ in range(layers)]
        net.append(nn.Linear(hidden, 1))
        self.net = nn.Sequential(*net)

    def forward(self, coords):
        return self.net(coords)


def batch():
    t = torch.linspace(-1, 1, 400)[:, None]
    audio = torch.sin(18 * t) * torch.cos(5 * t) + 0.3 * torch.sin(55 * t)
    return t, audio


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
