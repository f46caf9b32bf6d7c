"""network.py from the online book, ported to torch"""
import torch
from sklearn.datasets import load_digits
from torch import nn

X, labels = load_digits(return_X_y=True)
X = torch.tensor(X).float()
Y = nn.functional.one_hot(torch.tensor(labels), 10).float()


class Network(nn.Module):
    def __init__(self, sizes=(64, 200, 10)):
        super().__init__()
        self.biases = nn.ParameterList(nn.Parameter(torch.randn(y)) for y in sizes[1:])
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(y, x)) for x, y in zip(sizes[:-1], sizes[1:]))

    def forward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = torch.sigmoid(a @ w.t() + b)
        return a


def loss(a, y):
    return 0.5 * ((a - y) ** 2).sum(1).mean()


def batch():
    i = torch.randint(0, len(X), (10,))
    return X[i], Y[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.5)
