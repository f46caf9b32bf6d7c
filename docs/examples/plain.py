"""A plain stack of ReLU layers on handwritten digits. It knows nothing of unvanish."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def model(depth=24):
    layers = [nn.Linear(64, 64), nn.ReLU()]
    for _ in range(depth):
        layers += [nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def data():
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    return DataLoader(TensorDataset(images, torch.tensor(labels)), batch_size=64, shuffle=True)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
