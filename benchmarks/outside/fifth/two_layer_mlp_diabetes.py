import torch
from sklearn.datasets import load_diabetes
from torch import nn

d = load_diabetes(scaled=False)
X = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0), dtype=torch.float32)
y = torch.tensor((d.target - d.target.mean()) / d.target.std(), dtype=torch.float32)[:, None]


def net():
    return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))


loss = nn.MSELoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
