import importlib

import torch
from torch import nn

user = importlib.import_module("digits_tower")

STEPS = 500
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "22 plain ReLU layers with PyTorch's default initialisation (gain far below He's): signal and"
    " gradient shrink by about 0.4 a layer and the first layers never move"
)
TEST = user.perm[1500:]


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(user.X[TEST]).argmax(1) == user.Y[TEST]
    model.train()
    return hit.float().mean().item()


def cured():
    net = user.model()
    for m in net.modules():
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return net, torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.85 -- as it is: 0.08418, 0.09091, 0.08418; cured: 0.'
    '936, 0.9327, 0.9495; longest run 1.8 s on one core'
)
