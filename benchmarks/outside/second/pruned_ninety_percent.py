import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import prune

x, y = load_digits(return_X_y=True)
x, y = torch.tensor((x - 5) / 6, dtype=torch.float32), torch.tensor(y)


def pruned(amount=0.9):
    net = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight)
            prune.random_unstructured(m, "weight", amount=amount if m.out_features > 10 else 0.5)
    return net


def batch():
    i = torch.randint(len(x), (128,))
    return x[i], y[i]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)
