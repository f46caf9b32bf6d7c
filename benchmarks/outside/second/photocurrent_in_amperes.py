import torch
from torch.nn import Linear, ReLU, Sequential

net = Sequential(Linear(8, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 4))


def batch(n=128):
    """Which quadrant of the detector was hit, from eight photocurrents [A]."""
    label = torch.randint(4, (n,))
    i = torch.rand(n, 8)
    i[torch.arange(n), 2 * label] += 1.5
    i[torch.arange(n), 2 * label + 1] += 1.5
    return 1e-9 * i, label


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
