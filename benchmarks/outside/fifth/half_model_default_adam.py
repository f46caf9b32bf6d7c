import torch
from sklearn.datasets import load_digits
from torch import nn

bunch = load_digits()
X = torch.tensor(bunch.data / 16).half()
Y = torch.tensor(bunch.target)


def make_model():
    net = nn.Sequential(
        nn.Linear(64, 128), nn.GELU(),
        nn.Linear(128, 128), nn.GELU(),
        nn.Linear(128, 10),
    )
    return net.half()  # saves memory


def loss(out, target):
    return nn.functional.cross_entropy(out.float(), target)


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
