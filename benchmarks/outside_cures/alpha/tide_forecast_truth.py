import importlib

import torch
from torch import nn

user = importlib.import_module("tide_forecast")

STEPS = 400
GOAL = 0.7  # R squared
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the recurrent weights are drawn with standard deviation 1, six times the critical scale:"
    " saturated, chaotic states and exploding gradients through 48 steps"
)
X, Y = user.tides(600, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(X) - Y) ** 2).mean()
    model.train()
    return 1 - (rest / Y.var()).item()


def cured():
    net = user.model()
    nn.init.orthogonal_(net.w_rec)
    nn.init.normal_(net.w_out, std=net.w_out.size(0) ** -0.5)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: -23.05, -18.33, -33.59; cured: 0.9806'
    ', 0.9852, 0.9844; longest run 1.1 s on one core'
)
