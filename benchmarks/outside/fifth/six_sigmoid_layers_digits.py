import torch
import torch.nn as nn
from sklearn.datasets import load_digits

data, target = load_digits(return_X_y=True)
data = torch.FloatTensor(data / 16)
target = torch.LongTensor(target)


def model():
    layers = []
    width = 64
    for _ in range(6):
        layers.append(nn.Linear(width, 50))
        layers.append(nn.Sigmoid())
        width = 50
    layers.append(nn.Linear(50, 10))
    return nn.Sequential(*layers)


criterion = nn.CrossEntropyLoss()


def loss(y_hat, y):
    return criterion(y_hat, y)


def batch():
    sel = torch.randint(0, len(data), (50,))
    return data[sel], target[sel]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)
