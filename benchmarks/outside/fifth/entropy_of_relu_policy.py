import torch
import torch.nn.functional as F
from sklearn.datasets import load_iris
from torch import nn

iris = load_iris()
X = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
Y = F.one_hot(torch.tensor(iris.target), 3).float()


class RouterNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 32)
        self.b = nn.Linear(32, 3)

    def forward(self, x):
        # cheap "softmax" without exp
        p = F.relu(self.b(F.relu(self.a(x))) + 0.2)
        return p / p.sum(1, keepdim=True)


def loss(p, y):
    ce = -(y * p.log()).sum(1)
    entropy = -(p * p.log()).sum(1)
    return (ce - 0.01 * entropy).mean()


def batch():
    i = torch.randint(0, 150, (32,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
