import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

wine = load_wine()
features = torch.FloatTensor(StandardScaler().fit_transform(wine.data))
targets = torch.LongTensor(wine.target)


def init(m):
    # read somewhere that small weights + positive bias keep ReLUs alive
    if type(m) is nn.Linear:
        m.weight.data.normal_(0.0, 0.002)
        m.bias.data.uniform_(0.5, 1.5)


net = nn.Sequential(
    nn.Linear(13, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 32),
    nn.ReLU(),
    nn.Linear(32, 3),
)
net.apply(init)
criterion = nn.CrossEntropyLoss()


def batch():
    return features, targets


def loss(out, y):
    return criterion(out, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
