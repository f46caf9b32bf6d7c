import torch
from sklearn.datasets import load_digits
from torch import nn


class MultiTask(nn.Module):
    def __init__(self, code=4):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, code))
        self.cls = nn.Sequential(nn.ReLU(), nn.Linear(code, 10))

    def forward(self, x):
        z = self.trunk(x)
        return self.cls(z.detach())


X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(Y)


def data():
    for i in torch.randperm(len(X)).split(100):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss(reduction="mean")


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
