import torch
from torch import nn

import coordinate_image_field as user

STEPS = 800
GOAL = 0.012
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "raw pixel indices go into sin(2^k pi p) and cos(2^k pi p): at integers these are 0 and +-1, the"
    " same at every other pixel, so that the encoding tells nothing and passes nothing but the parity"
)
X, Y = user.COORDS[user.TEST], user.VALUES[user.TEST]


@torch.no_grad()
def metric(model):
    return ((model(X) - Y) ** 2).mean().item()


class Unit(nn.Module):
    def forward(self, p):
        return p / user.SIZE * 2 - 1


def cured():
    net = nn.Sequential(Unit(), user.model())
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.012 -- as it is: 0.0368, 0.0372, 0.0368"
    "; cured: 0.0017, 0.0018, 0.0021; longest run 0.7 s on one core"
)
