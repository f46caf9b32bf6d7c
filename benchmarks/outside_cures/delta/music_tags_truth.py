import torch
from torch import nn

import music_tags as user

STEPS = 500
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "wrong output/loss pair: sigmoid outputs go into BCEWithLogitsLoss; with 5 % positives all outputs are pushed to 0, where the sigmoid is saturated, and no gradient is left"


def metric(model):
    return user.f1(model, user.X_test, user.Y_test)


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), nn.BCELoss()


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.6 -- as it is: 0.004197, 0.002099, 0.001049; cured: 0.9601, 0.9612, 0.9612; longest run 1.1 s on one core'
)
