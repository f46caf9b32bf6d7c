import importlib

import torch
import torch.nn.functional as F
from torch import nn

user = importlib.import_module("sparse_codes")

STEPS = 500
GOAL = 0.045
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the code's biases start at -3 where the pre-activations have a spread of some tenths: every"
    " unit of the code is dead for every sample and gets no gradient"
)


def metric(model):
    model.eval()
    with torch.no_grad():
        e = F.mse_loss(model(user.x_test), user.x_test).item()
    model.train()
    return e


def cured():
    net = user.model()
    nn.init.zeros_(net.enc2.bias)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.045 -- as it is: 0.074, 0.07398, 0.07404; cured: 0.0'
    '02393, 0.002467, 0.002254; longest run 0.3 s on one core'
)
