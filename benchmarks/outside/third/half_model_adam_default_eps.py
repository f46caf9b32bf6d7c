# model.half(): loss is nan after the first optimizer.step(), without half everything is fine
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16).half()
y = torch.tensor(load_digits().target)


def build():
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    return model.half()


def loss(logits, target):
    return nn.functional.cross_entropy(logits.float(), target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def batch():
    i = torch.randperm(len(X))[:256]
    return X[i], y[i]


if __name__ == "__main__":
    model = build()
    opt = optimizer(model)
    for it in range(5):
        xb, yb = batch()
        l = loss(model(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(it, l.item())
