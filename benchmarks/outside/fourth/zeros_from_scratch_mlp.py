"""Own layers, to understand what nn.Linear does."""
import torch
from sklearn.datasets import load_iris
from torch import nn

iris = load_iris()
X = torch.tensor((iris.data - iris.data.mean(0)) / iris.data.std(0), dtype=torch.float32)
T = torch.tensor(iris.target)


class MyLinear(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_in, n_out))
        self.b = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return x @ self.W + self.b


class IrisNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = MyLinear(4, 20)
        self.c = MyLinear(20, 3)

    def forward(self, x):
        return self.c(torch.tanh(self.a(x)))


def batch():
    return X, T


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
