import torch
from sklearn.datasets import load_wine
from torch import nn


def load():
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    return torch.tensor(x).float(), torch.tensor(y)


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
        m.bias.data.fill_(0.01)


def model():
    net = nn.Sequential(
        nn.Linear(13, 100),
        nn.ReLU(),
        nn.Linear(100, 50),
        nn.ReLU(),
        nn.Linear(50, 3),
    )
    net.apply(init_weights)
    return net


def batch():
    x, y = load()
    idx = torch.randperm(len(x))[:64]
    return x[idx], y[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
