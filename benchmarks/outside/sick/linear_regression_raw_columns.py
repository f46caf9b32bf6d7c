import torch
from sklearn.datasets import load_diabetes
from torch import nn

raw = load_diabetes(scaled=False)
X = torch.tensor(raw.data, dtype=torch.float32)
y = torch.tensor(raw.target, dtype=torch.float32)
y = (y - y.mean()) / y.std()

model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss = nn.MSELoss()


def batch():
    return X, y
