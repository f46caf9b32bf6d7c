"""Day ahead national load [MW] from weather and calendar, hourly."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(0)
hours = np.arange(24 * 365)
temp = 10 - 9 * np.cos(2 * np.pi * hours / 8760) - 4 * np.cos(2 * np.pi * hours / 24) + rng.normal(0, 2, len(hours))
weekend = ((hours // 24) % 7 >= 5).astype(float)
load = (
    47000
    - 6000 * np.cos(2 * np.pi * (hours % 24) / 24)
    - 5500 * weekend
    + 350 * np.clip(16 - temp, 0, None)
    + rng.normal(0, 500, len(hours))
)
features = np.stack([
    np.sin(2 * np.pi * hours / 24), np.cos(2 * np.pi * hours / 24),
    np.sin(2 * np.pi * hours / 8760), np.cos(2 * np.pi * hours / 8760),
    weekend, (temp - temp.mean()) / temp.std(),
], 1)

X = torch.tensor(features, dtype=torch.float32)
y = torch.tensor(load, dtype=torch.float32).unsqueeze(1)

data = DataLoader(TensorDataset(X, y), batch_size=128, shuffle=True)


class LoadModel(nn.Module):
    def __init__(self, n_in=6, n_hidden=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, 1),
        )

    def forward(self, x):
        return self.net(x)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
