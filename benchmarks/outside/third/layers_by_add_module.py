# Answer: a plain list hides the layers, register them with add_module (or use nn.ModuleList)
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
y = torch.tensor(load_digits().target)


class DeepNet(nn.Module):
    def __init__(self, sizes=(64, 100, 100, 100, 10)):
        super().__init__()
        self.n = len(sizes) - 1
        for i in range(self.n):
            self.add_module("fc%d" % i, nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, "fc%d" % i)(x)
            if i < self.n - 1:
                x = F.relu(x)
        return x


criterion = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters())
