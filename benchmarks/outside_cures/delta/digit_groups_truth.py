import torch
from torch import nn

import digit_groups as user

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "normalisation: a GroupNorm with one channel per group on 1x1 maps subtracts each value from itself; the output is constant and nothing before it gets a gradient"


def metric(model):
    return user.accuracy(model, user.te)


def cured():
    net = user.model()
    net.neck[1] = nn.GroupNorm(1, 32)
    return net, torch.optim.AdamW(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.85 -- as it is: 0.09222, 0.09222, 0.09222; cured: 0.9654, 0.9741, 0.9654; longest run 3.1 s on one core'
)
