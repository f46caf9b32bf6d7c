# One hidden layer of sigmoid neurons like in chapter 1 of the online book, but
# with the cross entropy cost of chapter 3.
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


class Network(nn.Module):
    def __init__(self, sizes=(64, 30, 10)):
        super().__init__()
        self.weights = nn.ParameterList(
            [nn.Parameter(torch.randn(o, i) / np.sqrt(i)) for i, o in zip(sizes[:-1], sizes[1:])]
        )
        self.biases = nn.ParameterList([nn.Parameter(torch.randn(o)) for o in sizes[1:]])

    def forward(self, a):
        *hidden, last = zip(self.weights, self.biases)
        for w, b in hidden:
            a = torch.sigmoid(a @ w.t() + b)
        w, b = last
        return a @ w.t() + b


def model():
    return Network()


def loss(output, target):
    onehot = nn.functional.one_hot(target, 10).float()
    return nn.functional.binary_cross_entropy_with_logits(output, onehot, reduction="sum") / len(
        target
    )


def data():
    d = load_digits()
    order = np.random.RandomState(0).permutation(len(d.data))
    x = torch.tensor(d.data[order] / 16.0, dtype=torch.float32)
    y = torch.tensor(d.target[order])
    mini_batch_size = 10
    return [
        (x[k : k + mini_batch_size], y[k : k + mini_batch_size])
        for k in range(0, len(x) - mini_batch_size, mini_batch_size)
    ]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5)
