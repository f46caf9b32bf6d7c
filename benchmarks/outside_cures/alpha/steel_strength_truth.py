import importlib

import torch
from torch import nn

user = importlib.import_module("steel_strength")

STEPS = 600
GOAL = 0.8  # R squared
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the last block ends in a ReLU, yet half of the standardised targets are negative: the output"
    " cannot say them and has no gradient where it should"
)
X, Y = user.simulate(800, seed=6)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(X) - Y) ** 2).sum()
    model.train()
    return 1 - (rest / ((Y - Y.mean()) ** 2).sum()).item()


def cured():
    net = user.model()
    net.blocks[-1].act = nn.Identity()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.8 -- as it is: 0.4653, 0.4671, -0.0002362; cured: 0.'
    '9778, 0.9743, 0.9794; longest run 0.4 s on one core'
)
