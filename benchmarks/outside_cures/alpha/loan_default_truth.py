import importlib

import torch
from torch import nn

user = importlib.import_module("loan_default")

STEPS = 700
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "nn.Dropout gets the probability to keep: 90 % of the units are dropped in each of five"
    " layers, and next to no signal or gradient comes through"
)
X, DEFAULT = user.applicants(1000, seed=5)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = ((model(X) > 0) == (DEFAULT > 0.5)).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    for m in net:
        if isinstance(m, nn.Dropout):
            m.p = 1 - user.hp.keep
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 700 steps, goal 0.7 -- as it is: 0.547, 0.547, 0.547; cured: 0.857, 0.'
    '859, 0.858; longest run 0.7 s on one core'
)
