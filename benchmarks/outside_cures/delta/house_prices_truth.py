import math

import torch
from torch import nn

import house_prices as user

STEPS = 500
GOAL = 20000.0
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "target scale: prices of several hundred thousand under a mean squared error; the first SGD steps blow the net up (or kill all its ReLUs)"


def metric(model):
    model.eval()
    with torch.no_grad():
        mae = (model(user.X_test) - user.y_test).abs().mean().item()
    model.train()
    return mae if math.isfinite(mae) else 1e12


MEAN, STD = user.y_train.mean(), user.y_train.std()


class InEuro(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x) * STD + MEAN


def cured():
    net = InEuro(user.model())
    return net, torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9), lambda o, t: nn.functional.mse_loss(o / STD, t / STD)


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 20000 -- as it is: 1e+12, 1e+12, 1e+12; cured: 9599, 9328, 8965; longest run 0.3 s on one core'
)
