"""Continue a run whose first steps were made with lr=10; since then we use 0.05, but it stays flat."""
import torch
from sklearn.datasets import load_digits
from torch import nn

bunch = load_digits()
X = torch.tensor(bunch.data / 16, dtype=torch.float32)
y = torch.tensor(bunch.target)

WARM_LR = 10.0


def batch():
    k = torch.randint(0, 1797, (64,))
    return X[k], y[k]


def resumed_model():
    torch.manual_seed(7)
    net = nn.Sequential(
        nn.Linear(64, 96), nn.ReLU(),
        nn.Linear(96, 96), nn.ReLU(),
        nn.Linear(96, 96), nn.ReLU(),
        nn.Linear(96, 10),
    )
    opt = torch.optim.SGD(net.parameters(), lr=WARM_LR)
    for _ in range(20):
        xb, yb = batch()
        opt.zero_grad()
        nn.functional.cross_entropy(net(xb), yb).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
    return net


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05)
