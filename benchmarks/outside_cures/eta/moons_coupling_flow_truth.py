import torch
from torch import nn

import moons_coupling_flow as user

STEPS = 500
GOAL = 2.1
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "zero times zero: the last layer of every coupling net and the gain that multiplies it are both"
    " zero, so neither gets a gradient and the flow stays the identity for ever"
)
X = user.moons(2000, 1)


@torch.no_grad()
def metric(model):
    return -model(X).mean().item()  # nats per sample, held out


def cured():
    net = user.model()
    for c in net.couplings:
        nn.init.ones_(c.gain)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 2.1 -- as it is: 2.831, 2.831, 2.831; cured: 1.614, 1.564, 1.51; longest run 2.2 s on one core'
)
