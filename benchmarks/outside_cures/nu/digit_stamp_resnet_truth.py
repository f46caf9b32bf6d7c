import torch
from torch import nn

import digit_stamp_resnet as user

STEPS = 200
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "gamma is zero in every batch normalisation, not only in the last one of each block: the stem"
    " and all the paths give zeros, where ReLU has no slope, and only the bias of fc learns"
)
X, Y = user.x_test, user.y_test


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    right = (model(X).argmax(1) == Y).float().mean().item()
    model.train(was)
    return right


def cured():
    net = user.model()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            nn.init.ones_(m.weight)
    for m in net.modules():
        if isinstance(m, user.BasicBlock):
            nn.init.zeros_(m.bn2.weight)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 200 steps, goal 0.75 -- as it is: 0.0722, 0.0722, 0.0722"
    "; cured: 0.9611, 0.9722, 0.9472; longest run 2.2 s on one core"
)
