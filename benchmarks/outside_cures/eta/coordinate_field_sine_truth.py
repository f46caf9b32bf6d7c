import math

import torch
from torch import nn

import coordinate_field_sine as user

STEPS = 800
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "sine layers with w0 = 30 but PyTorch's standard init: each layer multiplies differences and"
    " gradients by about ten, so the network starts as noise in its input; it needs SIREN's init"
    " (uniform sqrt(6/n)/w0)"
)
P, U = user.sensors(1500, seed=123, noise=0.0)


@torch.no_grad()
def metric(model):
    return 1 - ((model(P) - U) ** 2).mean().item() / U.var().item()


def cured():
    net = user.model()
    first = True
    for m in net.f:
        if isinstance(m, nn.Linear):
            b = 1 / m.in_features / 2 if first else math.sqrt(6 / m.in_features) / 30
            nn.init.uniform_(m.weight, -b, b)
            first = False
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.7 -- as it is: -0.1024, -0.1029, -0.07283; cured: 0.9988, 0.9988, 0.9986; longest run 1.6 s on one core'
)
