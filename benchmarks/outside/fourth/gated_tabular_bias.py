"""Gated MLP for credit data; gates start closed "so that every layer begins as a no-op"."""
import torch
from sklearn.datasets import make_classification
from torch import nn

X, y = make_classification(n_samples=2000, n_features=16, n_informative=8, n_classes=3, class_sep=1.5, random_state=8)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y)


class GatedLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.value = nn.Linear(n_in, n_out)
        self.gate = nn.Linear(n_in, n_out)
        nn.init.constant_(self.gate.bias, -8.0)

    def forward(self, x):
        return torch.tanh(self.value(x)) * torch.sigmoid(self.gate(x))


class GatedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(GatedLayer(16, 64), GatedLayer(64, 64), GatedLayer(64, 64))
        self.out = nn.Linear(64, 3)

    def forward(self, x):
        return self.out(self.layers(x))


def batch():
    i = torch.randint(2000, (128,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
