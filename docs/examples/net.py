"""A classifier of handwritten digits that does not learn. It knows nothing of unvanish."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, depth=16):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def model():
    return Net()


def data():
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    return DataLoader(TensorDataset(images, torch.tensor(labels)), batch_size=128, shuffle=True)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
