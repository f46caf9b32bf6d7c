import torch
from sklearn.datasets import make_friedman1
from torch import nn

X, y = make_friedman1(2500, noise=0.5, random_state=6)
X = torch.tensor((X - 0.5) * 3.46, dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)[:, None]


class Regressor(nn.Module):
    def __init__(self, width=96, depth=8):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(10, width)] + [nn.Linear(width, width) for _ in range(depth - 1)])
        self.head = nn.Linear(width, 1)
        for l in self.layers:
            nn.init.kaiming_normal_(l.weight, nonlinearity="relu")
            nn.init.zeros_(l.bias)

    def forward(self, x):
        for l in self.layers:
            x = l(x).relu_()
        return self.head(x)


def batch():
    i = torch.randint(2500, (64,))
    return X[i], y[i]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
