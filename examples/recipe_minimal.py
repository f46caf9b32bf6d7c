"""The smallest recipe: a network and a batch. Check it with

unvanish check examples/recipe_minimal.py
"""

import torch
from torch import nn


def model():
    layers = []
    for _ in range(12):
        layers += [nn.Linear(32, 32), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(32, 3))


def batch():
    inputs = torch.randn(64, 32)
    target = inputs[:, :3].argmax(dim=1)
    return inputs, target


if __name__ == "__main__":
    inputs, target = batch()
    loss = nn.functional.cross_entropy(model()(inputs), target)
    print(f"loss {loss.item():.3f}")
