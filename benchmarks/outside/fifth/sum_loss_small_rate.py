import torch
from sklearn.datasets import make_friedman1
from torch import nn

X, y = make_friedman1(1000, n_features=5, noise=0.2, random_state=3)
X = torch.tensor(X * 2 - 1, dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32).view(-1, 1)


class Poly(nn.Module):
    def __init__(self):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x):
        return self.seq(x)


loss = nn.MSELoss(reduction="sum")


def batch():
    i = torch.randint(0, 1000, (100,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
