import torch
import torch.nn as nn
from sklearn.datasets import load_digits

dd = load_digits()
RATE = torch.tensor(dd.data / 16.0, dtype=torch.float32)
CLS = torch.tensor(dd.target)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 0).float()

    @staticmethod
    def backward(ctx, g):
        (u,) = ctx.saved_tensors
        return g / (1 + 5 * u.abs()) ** 2


class SNN(nn.Module):
    def __init__(self, beta=0.9, steps=12):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(64, 100), nn.Linear(100, 10)
        self.beta, self.steps = beta, steps

    def forward(self, x):
        u1 = torch.zeros(len(x), 100)
        u2 = torch.zeros(len(x), 10)
        for _ in range(self.steps):
            u1 = self.beta * u1 + self.fc1((torch.rand_like(x) < x).float())
            s1 = Spike.apply(u1 - 1.0)
            u1 = u1 - s1.detach()
            u2 = self.beta * u2 + self.fc2(s1)
        return u2


def batch():
    i = torch.randint(0, len(CLS), (64,))
    return RATE[i], CLS[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
