import torch
from torch import nn

import tile_texture_gates as user

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "ten sigmoid channel gates near 1/2 and default convolution weights, without normalisation or"
    " shortcut: every cell passes about a fifth of signal and gradient"
)


@torch.no_grad()
def metric(model):
    model.eval()
    acc = (model(user.XT).argmax(1) == user.YT).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    for c in net.cells:
        c.conv = nn.Sequential(c.conv, nn.BatchNorm2d(user.CH))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.2975, 0.2975, 0.2975; cured: 0.99, 0.975, 0.9925; longest run 7.4 s on one core'
)
