#!/usr/bin/env python
# legacy_keras_digits.py
#
# Ported 1:1 from the old Keras notebook (tf 2.3, optimizers.Adadelta()) to torch.
# Layers, initialisers and optimiser settings are the same as printed by model.get_config()
# and optimizer.get_config().    -- M.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def load():
    d = load_digits()
    x = torch.from_numpy(d.images).float().unsqueeze(1) / 16.
    y = torch.from_numpy(d.target).long()
    p = torch.randperm(len(y), generator=torch.Generator().manual_seed(99))
    return x[p], y[p]


_images, _labels = load()
N_TRAIN = 1400
x_train, y_train = _images[:N_TRAIN], _labels[:N_TRAIN]
x_test, y_test = _images[N_TRAIN:], _labels[N_TRAIN:]


def glorot_uniform(module):
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class KerasCNN(nn.Module):
    def __init__(self, num_classes=10):
        super(KerasCNN, self).__init__()
        self.conv2d = nn.Conv2d(1, 16, kernel_size=3)      # "valid"
        self.conv2d_1 = nn.Conv2d(16, 32, kernel_size=3)
        self.max_pooling2d = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.25)
        self.dense = nn.Linear(32 * 2 * 2, 64)
        self.dropout_1 = nn.Dropout(0.5)
        self.dense_1 = nn.Linear(64, num_classes)
        self.apply(glorot_uniform)

    def forward(self, x):
        x = torch.relu(self.conv2d(x))
        x = torch.relu(self.conv2d_1(x))
        x = self.dropout(self.max_pooling2d(x))
        x = x.flatten(1)
        x = self.dropout_1(torch.relu(self.dense(x)))
        return self.dense_1(x)


def model():
    return KerasCNN()


def data():
    perm = torch.randperm(N_TRAIN)
    for start in range(0, N_TRAIN, 56):
        sel = perm[start:start + 56]
        yield x_train[sel], y_train[sel]


criterion = nn.CrossEntropyLoss()
loss = criterion


def optimizer(model):
    # {'name': 'Adadelta', 'learning_rate': 0.001, 'decay': 0.0, 'rho': 0.95, 'epsilon': 1e-07}
    return torch.optim.Adadelta(model.parameters(), lr=0.001, rho=0.95, eps=1e-7)
