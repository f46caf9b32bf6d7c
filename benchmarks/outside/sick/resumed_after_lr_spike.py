import torch
from sklearn.datasets import load_digits
from torch import nn

WARM_LR = 20.0
X, Y = load_digits(return_X_y=True)
X, Y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(Y)


def make_net():
    return nn.Sequential(
        nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def resume():
    """Warm start: a few quick steps with the one-cycle peak, then hand over."""
    net = make_net()
    opt = torch.optim.SGD(net.parameters(), lr=WARM_LR)
    for k in range(5):
        opt.zero_grad()
        nn.functional.cross_entropy(
            net(X[k * 100 : k * 100 + 100]), Y[k * 100 : k * 100 + 100]
        ).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
    return net


def data():
    for i in torch.randperm(len(X)).split(128):
        yield X[i], Y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
