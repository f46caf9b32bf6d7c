import math

import torch

import recall_diag_ssm as user

STEPS = 650
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "step sizes of the state-space layers are drawn as exp(U(0, 1)), where the paper takes"
    " log-uniform 1e-3 .. 1e-1: the slowest state forgets with exp(-1) or faster a step, and over 96"
    " steps neither the key nor any gradient arrives"
)
X, Y = user.make_split(512, seed=91)


@torch.no_grad()
def metric(model):
    model.eval()
    right = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return right


def cured():
    net = user.model()
    with torch.no_grad():
        for b in net.blocks:
            b.ssm.log_dt.uniform_(math.log(1e-3), math.log(1e-1))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 650 steps, goal 0.6 -- as it is: 0.1621, 0.168, 0.1875"
    "; cured: 1.0, 1.0, 1.0; longest run 7.7 s on one core"
)
