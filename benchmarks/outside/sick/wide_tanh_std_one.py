import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, width=300):
        super().__init__()
        shapes = [(width, 64), (width, width), (width, width), (width, width), (10, width)]
        self.weights = nn.ParameterList(nn.Parameter(torch.empty(s)) for s in shapes)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(s[0])) for s in shapes)
        for w in self.weights:
            torch.nn.init.normal_(w)

    def forward(self, x):
        *hidden, last = zip(self.weights, self.biases)
        for w, b in hidden:
            x = F.linear(x, w, b).tanh()
        return F.linear(x, *last)


class Loader:
    def __init__(self, bs=100):
        d = load_digits()
        self.x = torch.tensor(d.data / 16, dtype=torch.float32)
        self.x = self.x - self.x.mean(0)
        self.y = torch.tensor(d.target)
        self.bs = bs

    def __iter__(self):
        perm = torch.randperm(len(self.x))
        for k in range(0, len(perm) - self.bs, self.bs):
            sel = perm[k : k + self.bs]
            yield self.x[sel], self.y[sel]


data = Loader()


def loss(out, y):
    return F.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-2)
