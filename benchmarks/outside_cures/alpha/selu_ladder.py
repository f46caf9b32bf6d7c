import torch
from sklearn.datasets import load_digits
from torch import nn

ds = load_digits(return_X_y=True)
features = torch.tensor(ds[0]).float()
features = (features - features.mean(0)) / (features.std(0) + 0.5)
classes = torch.tensor(ds[1])
shuffle = torch.randperm(len(classes), generator=torch.Generator().manual_seed(6))
fit_on, held_out = shuffle[:1250], shuffle[1250:]

DEPTH = 28


def dense(n_in, n_out):
    layer = nn.Linear(n_in, n_out)
    nn.init.normal_(layer.weight, std=n_in**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def model():
    parts = [dense(64, 80), nn.SELU()]
    for _ in range(DEPTH):
        parts.extend((dense(80, 80), nn.SELU()))
    parts.append(dense(80, 10))
    return nn.Sequential(*parts)


def data():
    for b in fit_on[torch.randperm(len(fit_on))].split(50):
        yield features[b], classes[b]


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.005)
