"""State-value regression: predict the return of a cart that is pushed home, in millijoules."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

GAMMA = 0.97


def rollouts(n, seed):
    g = torch.Generator().manual_seed(seed)
    state = torch.rand(n, 2, generator=g) * 2 - 1
    x, v = state[:, 0].clone(), state[:, 1].clone()
    total, discount = torch.zeros(n), 1.0
    for _ in range(60):
        a = (-1.5 * x - 0.5 * v).clamp(-1, 1)
        v = v + 0.1 * a
        x = x + 0.1 * v
        total += discount * -(x**2 + 0.1 * v**2 + 0.01 * a**2)
        discount *= GAMMA
    return state, 1000 * total.unsqueeze(1)


class ValueNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(2, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, 1)

    def forward(self, s):
        h = torch.relu(self.l1(s))
        h = torch.relu(self.l2(h))
        return self.l3(h)


def model():
    return ValueNet()


_train = TensorDataset(*rollouts(2000, 0))


def data(seed=0):
    return DataLoader(_train, batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(seed))


def loss(value, target):
    return nn.functional.mse_loss(value, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02)
