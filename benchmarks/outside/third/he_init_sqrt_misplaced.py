# 20-layer MLP with "He init": first loss is ~2000 instead of 2.3, then nan
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data, dtype=torch.float32)
X = (X - X.mean()) / X.std()
y = torch.tensor(load_digits().target)


def he(linear):
    fan_in = linear.in_features
    nn.init.normal_(linear.weight, 0.0, 2.0 / math.sqrt(fan_in))
    nn.init.zeros_(linear.bias)
    return linear


def make_mlp(width=100, depth=20):
    net, n = [], 64
    for _ in range(depth):
        net += [he(nn.Linear(n, width)), nn.ReLU()]
        n = width
    return nn.Sequential(*net, he(nn.Linear(n, 10)))


criterion = nn.CrossEntropyLoss()


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


if __name__ == "__main__":
    net = make_mlp()
    opt = optimizer(net)
    for i in range(300):
        xb, yb = batch()
        l = criterion(net(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 30 == 0:
            print(l.item())
