"""Digits MLP that returns log-probabilities and still uses F.cross_entropy.

log_softmax is idempotent, so this is redundant and nothing else.
"""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

d = load_digits()
X, Y = torch.tensor(d.data / 8 - 0.6, dtype=torch.float32), torch.tensor(d.target)


class LogProbNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        return F.log_softmax(self.b(F.relu(self.a(x))), dim=1)


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def loss(output, target):
    return F.cross_entropy(output, target)


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)


if __name__ == "__main__":
    m = LogProbNet()
    o = optimizer(m)
    for _ in range(300):
        x, y = batch()
        l = loss(m(x), y)
        o.zero_grad()
        l.backward()
        o.step()
    print(l.item())
