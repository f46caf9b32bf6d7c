import importlib

import torch
from torch import nn

user = importlib.import_module("call_counts")

STEPS = 600
GOAL = 0.6  # R squared of the predicted rate
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw inputs of up to 8,000 under an exponential output: the rate starts at infinity or at 0,"
    " and log(0) or inf makes NaN"
)
X, CALLS = user.hours(800, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(X) - CALLS) ** 2).mean()
    model.train()
    return 1 - (rest / CALLS.var()).item()


class Standardised(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", user.X.mean(0))
        self.register_buffer("std", user.X.std(0))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def cured():
    net = Standardised(user.model())
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.6 -- as it is: nan, nan, nan; cured: 0.7865, 0.7894,'
    ' 0.8054; longest run 0.2 s on one core'
)
