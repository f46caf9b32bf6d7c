import torch
from torch import nn

import defect_heatmap as user

STEPS = 300
GOAL = 0.45
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "dead ReLUs: the focal loss's prior bias of -4.6, meant for the last layer, is put into every convolution, so all hidden units are off for all pixels"


def metric(model):
    return user.iou(model, user.test_x, user.test_m)


def cured():
    net = user.model()
    for m in net.subnet:
        if isinstance(m, nn.Conv2d):
            nn.init.zeros_(m.bias)
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.45 -- as it is: 0, 0, 0; cured: 0.889, 0.9158, 0.9009; longest run 2.7 s on one core'
)
