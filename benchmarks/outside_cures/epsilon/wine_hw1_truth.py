import torch
from torch import nn

import wine_hw1 as user

STEPS = 400
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "raw inputs, one of 13 in the thousands (proline): the tanh layers saturate on it and the rest is drowned"


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(user.x_test).argmax(1) == user.y_test
    model.train()
    return hit.float().mean().item()


def cured():
    net = nn.Sequential(nn.BatchNorm1d(13), user.model())
    return net, torch.optim.SGD(net.parameters(), lr=0.05), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.9 -- as it is: 0.3889, 0.3889, 0.3889"
    "; cured: 0.963, 0.963, 0.963; longest run 0.4 s on one core"
)
