import importlib

import torch
from torch import nn

user = importlib.import_module("expert_mixture")

STEPS = 600
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the experts stand in a plain Python list: their weights are no parameters of the model, so"
    " the optimiser never sees them"
)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(user._x[user._rest]).argmax(1) == user._y[user._rest]).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    net.experts = nn.ModuleList(net.experts)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.8 -- as it is: 0.6146, 0.6524, 0.5768; cured: 0.9219'
    ', 0.9118, 0.932; longest run 0.4 s on one core'
)
