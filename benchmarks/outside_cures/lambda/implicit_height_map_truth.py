import math

import torch
from torch import nn

import implicit_height_map as user

STEPS = 800
GOAL = 0.3
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "sine layers with w0 = 30 but Xavier weights: SIREN divides the hidden weights by w0; without that every"
    " layer stretches some twentyfold, the gradient explodes towards the input and the field is chaos"
    " that no survey point says anything about its neighbour"
)
XY, H = user.survey(2000, seed=4040)


@torch.no_grad()
def metric(model):
    model.eval()
    return (((model(XY) - H) ** 2).mean() / H.var()).item()


def cured():
    net = user.model()
    for layer in net.body[1:]:
        n = layer.linear.in_features
        bound = math.sqrt(6 / n) / layer.w0
        nn.init.uniform_(layer.linear.weight, -bound, bound)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.3 -- as it is: 1.0066, 1.0036, 1.0051"
    "; cured: 0.0128, 0.0011, 0.0019; longest run 0.9 s on one core"
)
