import warnings

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore", category=UserWarning)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
        )

    def forward(self, x):
        return self.net(x)


rng = np.random.default_rng(0)
x_np = rng.uniform(-3, 3, size=(256, 1)).astype(np.float32)
y_np = np.sin(2 * x_np[:, 0]) + 0.1 * rng.normal(size=256).astype(np.float32)


def batch():
    return torch.from_numpy(x_np), torch.from_numpy(y_np.astype(np.float32))


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
