import importlib

import torch
from torch import nn

user = importlib.import_module("flat_prices")

STEPS = 600
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw columns of very different size (a few rooms, tens of thousands of income) and prices of"
    " some 400,000 as they are: nothing is standardised, so one direction rules the updates"
)
X, Y = user.table[2700:], user.price[2700:]


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(X) - Y) ** 2).sum()
    model.train()
    return 1 - (rest / ((Y - Y.mean()) ** 2).sum()).item()


class Standardised(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", user.X_train.mean(0))
        self.register_buffer("std", user.X_train.std(0))
        self.register_buffer("y_mean", user.y_train.mean())
        self.register_buffer("y_std", user.y_train.std())

    def forward(self, x):
        return self.net((x - self.mean) / self.std) * self.y_std + self.y_mean


def cured():
    net = Standardised(user.model())
    scale = float(user.y_train.var())
    return net, user.optimizer(net), lambda out, y: user.loss(out, y) / scale


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.8 -- as it is: 0.3242, 0.3382, 0.3307; cured: 0.9931'
    ', 0.9927, 0.9933; longest run 0.3 s on one core'
)
