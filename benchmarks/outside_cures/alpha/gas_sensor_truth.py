import importlib

import torch
from torch import nn

user = importlib.import_module("gas_sensor")

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "GroupNorm with as many groups as channels on flat features: every group is one number, minus"
    " its own mean it is 0, so the second block says the same for every sample"
)
X, Y = user.measure(600, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    for block in net.body:
        block.norm = nn.GroupNorm(4, block.fc.out_features)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 0.2717, 0.2717, 0.2717; cured: 0.993'
    '3, 0.9933, 0.9967; longest run 0.2 s on one core'
)
