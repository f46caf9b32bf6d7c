import torch
from torch import nn

import legacy_keras_digits as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Adadelta with the learning rate 0.001 that Keras has by default: Adadelta finds its own step size,"
    " meant for a factor of 1, and a thousandth of it does not move the weights"
)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(user.x_test).argmax(1) == user.y_test).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.95, eps=1e-6), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.1436, 0.1234, 0.1259"
    "; cured: 0.9874, 0.9798, 0.9849; longest run 0.9 s on one core"
)
