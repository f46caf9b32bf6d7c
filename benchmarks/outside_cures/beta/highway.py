# Highway layers (Srivastava et al.) on the tumour measurements, many of them.
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

bunch = load_breast_cancer()
order = torch.randperm(569, generator=torch.Generator().manual_seed(0))
features = torch.tensor(bunch.data, dtype=torch.float32)
features = ((features - features.mean(0)) / features.std(0))[order]
target = torch.tensor(bunch.target)[order]


class Highway(nn.Module):
    def __init__(self, dim, bias):
        super().__init__()
        self.plain = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, dim)
        self.gate.bias.data.fill_(bias)

    def forward(self, x):
        t = torch.sigmoid(self.gate(x))
        return t * torch.sigmoid(self.plain(x)) + (1 - t) * x


def build(depth=30, dim=24, bias=3.0):
    stack = [Highway(dim, bias) for _ in range(depth)]
    return nn.Sequential(nn.Linear(30, dim), *stack, nn.Linear(dim, 2))


def model():
    return build()


def data():
    for start in range(0, 500, 50):
        yield features[start : start + 50], target[start : start + 50]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
