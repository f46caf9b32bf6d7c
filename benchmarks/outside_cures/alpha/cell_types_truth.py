import importlib

import torch
from torch import nn

user = importlib.import_module("cell_types")

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "every weight of a layer starts at the same constant: all units of a layer are and stay equal,"
    " so the hidden layers have one direction"
)
X, Y = user.cells(600, seed=32)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    for m in net:
        if isinstance(m, nn.Linear):
            m.reset_parameters()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.4233, 0.5817, 0.4317; cured: 0.9833'
    ', 0.9717, 0.9733; longest run 0.1 s on one core'
)
