# BCEWithLogitsLoss never gets below 0.31 although accuracy is ok. Is my lr wrong?
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

bunch = load_breast_cancer()
X = torch.tensor(StandardScaler().fit_transform(bunch.data)).float()
y = torch.tensor(bunch.target).float().view(-1, 1)


def make():
    return nn.Sequential(
        nn.Linear(30, 64),
        nn.Tanh(),
        nn.Linear(64, 32),
        nn.Tanh(),
        nn.Linear(32, 1),
        nn.Tanh(),
    )


criterion = nn.BCEWithLogitsLoss()


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    m = make()
    opt = optimizer(m)
    for i in range(400):
        xb, yb = batch()
        l = criterion(m(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
