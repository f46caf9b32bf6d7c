import torch
from sklearn.datasets import load_digits
from torch import nn


def build_model(hidden_units=(64, 32), activation=nn.Tanh):
    """Factory used by the hyper-parameter search."""
    layers, prev = [], 64
    for units in hidden_units:
        layers.append(nn.Linear(prev, units))
        layers.append(activation())
        prev = units
    layers.append(nn.Linear(prev, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.weight, 0.05)
            nn.init.constant_(layer.bias, 0.0)
    return nn.Sequential(*layers)


def data():
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X / 8 - 1, dtype=torch.float32)
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(X, torch.tensor(y)), batch_size=100, shuffle=True
    )


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=1e-3)
