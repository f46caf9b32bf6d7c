import numpy as np
import torch
import torch.nn as nn

# used-car listings: odometer (km), year, engine (cc), weight (kg), owners -> price in cents
rs = np.random.RandomState(7)
N = 3000
km = rs.gamma(3.0, 35_000, N)
year = rs.randint(1998, 2025, N)
cc = rs.choice([998, 1197, 1498, 1998, 2993], N)
kg = 800 + 0.25 * cc + rs.normal(0, 60, N)
owners = rs.randint(1, 6, N)
price = 1.9e6 * np.exp(-km / 1.8e5) * (0.9 ** (2024 - year)) * (cc / 1500) ** 0.8 * (1 - 0.03 * owners)
price *= np.exp(rs.normal(0, 0.07, N))

FEATURES = torch.tensor(np.stack([km, year, cc, kg, owners], 1), dtype=torch.float32)
PRICE = torch.tensor(price, dtype=torch.float32)[:, None]


class PriceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn_in = nn.BatchNorm1d(5)
        self.fc1 = nn.Linear(5, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 1)
        self.register_buffer("offset", PRICE[:2000].mean())
        self.register_buffer("scale", PRICE[:2000].std())

    def forward(self, x):
        x = self.bn_in(x)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.offset + self.scale * self.fc3(x)


def data(seed=0):
    idx = np.random.RandomState(seed).permutation(2000)
    for i in range(0, 2000, 100):
        yield FEATURES[idx[i : i + 100]], PRICE[idx[i : i + 100]]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    """mean absolute error in cents"""
    model.eval()
    with torch.no_grad():
        return (model(FEATURES[2000:2400]) - PRICE[2000:2400]).abs().mean().item()


HIGHER_IS_BETTER = False
