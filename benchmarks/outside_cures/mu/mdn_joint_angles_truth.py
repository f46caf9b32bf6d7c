import math

import torch
from torch import nn

import mdn_joint_angles as user

STEPS = 1000
GOAL = 2.6
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "angles of 30 .. 90 degrees against components near 0 with sigma 1: the densities underflow, the"
    " epsilon in the logarithm is all that is left, and it has no gradient; it wants logsumexp and"
    " outputs in the scale of the target"
)
X, Y = user.arm(1000, seed=55)


def nll(out, y):
    pi, mu, sigma = out
    log = torch.log(pi + 1e-12) - 0.5 * ((y - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log, -1).mean()


@torch.no_grad()
def metric(model):
    return nll(model(X), Y).item()


class InDegrees(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, xy):
        pi, mu, sigma = self.net(xy)
        return pi, 60 + 17 * mu, 17 * sigma


def cured():
    net = InDegrees(user.model())
    return net, user.optimizer(net), nll


EVIDENCE = (
    "seeds 0, 1, 2, 1000 steps, goal 2.6 -- as it is: 1577.652, 1488.6803, 1355.5813"
    "; cured: 1.432, 1.5676, 1.1833; longest run 0.9 s on one core"
)
