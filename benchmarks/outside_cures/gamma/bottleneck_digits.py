import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Config:
    widths = [64, 24, 12, 6]
    n_classes = 10
    lr = 3e-3
    batch = 64


class BottleneckClassifier(nn.Module):
    """Squeeze the image through a few units, then classify."""

    def __init__(self, cfg=Config):
        super().__init__()
        self.squeeze = [nn.Linear(a, b) for a, b in zip(cfg.widths[:-1], cfg.widths[1:])]
        self.classifier = nn.Linear(cfg.widths[-1], cfg.n_classes)

    def forward(self, x):
        for layer in self.squeeze:
            x = F.leaky_relu(layer(x), 0.1)
        return self.classifier(x)


X, y = load_digits(return_X_y=True)
X = (torch.tensor(X).float() - 4.88) / 6.02
y = torch.tensor(y)
X_train, y_train = X[300:], y[300:]
X_test, y_test = X[:300], y[:300]


def data():
    for batch in torch.randperm(len(X_train)).split(Config.batch):
        yield X_train[batch], y_train[batch]


def loss(logits, target):
    return F.cross_entropy(logits, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=Config.lr)


def train(epochs=20):
    net = BottleneckClassifier()
    opt = optimizer(net)
    for _ in range(epochs):
        for xb, yb in data():
            opt.zero_grad()
            loss(net(xb), yb).backward()
            opt.step()
    return net
