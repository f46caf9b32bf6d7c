import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor((X - 4.9) / 6.0, dtype=torch.float32)
Y = torch.tensor(Y)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a = nn.Linear(d, d)
        self.b = nn.Linear(d, d)
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.kaiming_normal_(self.b.weight)

    def forward(self, x):
        return x + self.b(F.relu(self.a(x)))


class ResMLP(nn.Module):
    def __init__(self, d=64, depth=60):
        super().__init__()
        self.stem = nn.Linear(64, d)
        self.blocks = nn.Sequential(*(Block(d) for _ in range(depth)))
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-2)
