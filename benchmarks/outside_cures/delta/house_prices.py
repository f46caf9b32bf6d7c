"""Price estimate for a broker. Features are scaled like in the sklearn tutorial, prices are in euro."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.RandomState(42)
n = 3000
area = rng.uniform(30, 240, n)
rooms = np.clip(np.round(area / 28 + rng.randn(n)), 1, 9)
age = rng.uniform(0, 90, n)
dist = rng.exponential(8, n)
garden = rng.rand(n) < 0.3
energy = rng.randint(0, 7, n)
price = (
    2600 * area * np.exp(-dist / 25) + 9000 * rooms - 900 * age + 35000 * garden
    - 6000 * energy + 60000 + rng.randn(n) * 9000
)
features = np.stack([area, rooms, age, dist, garden.astype(float), energy], 1)
features = (features - features[:2200].mean(0)) / features[:2200].std(0)

X = torch.from_numpy(features).float()
y = torch.from_numpy(price).float().unsqueeze(1)
X_train, y_train = X[:2200], y[:2200]
X_val, y_val = X[2200:2600], y[2200:2600]
X_test, y_test = X[2600:], y[2600:]


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def model():
    return Regressor()


def data():
    perm = torch.randperm(len(X_train))
    for i in range(0, len(perm), 64):
        yield X_train[perm[i:i + 64]], y_train[perm[i:i + 64]]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def metric(model):
    # mean absolute error in euro
    with torch.no_grad():
        return (model(X_val) - y_val).abs().mean().item()


GOAL = 20000.0
HIGHER_IS_BETTER = False
