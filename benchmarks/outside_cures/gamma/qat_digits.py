import torch
from torch import nn
from sklearn.datasets import load_digits

BITS = 3


class QLinear(nn.Linear):
    """Linear layer with weights rounded to BITS bits (symmetric, per tensor)."""

    def quantise(self, w):
        with torch.no_grad():
            step = w.abs().max() / (2 ** (BITS - 1) - 1)
        return torch.round(w / step) * step

    def forward(self, x):
        return nn.functional.linear(x, self.quantise(self.weight), self.bias)


def model():
    return nn.Sequential(
        QLinear(64, 48), nn.ReLU(),
        QLinear(48, 32), nn.ReLU(),
        QLinear(32, 10),
    )


def _split():
    d = load_digits()
    x = torch.tensor(d.data, dtype=torch.float32) / 16
    y = torch.tensor(d.target)
    perm = torch.randperm(len(x), generator=torch.Generator().manual_seed(5))
    return x[perm], y[perm]


X, Y = _split()
N_TRAIN, N_VAL = 1200, 250


def data(seed=0):
    order = torch.randperm(N_TRAIN, generator=torch.Generator().manual_seed(seed))
    for idx in order.split(60):
        yield X[idx], Y[idx]


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        guess = model(X[N_TRAIN : N_TRAIN + N_VAL]).argmax(1)
    return (guess == Y[N_TRAIN : N_TRAIN + N_VAL]).float().mean().item()


GOAL = 0.85
HIGHER_IS_BETTER = True
