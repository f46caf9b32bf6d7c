import torch
from torch import nn

import valve_event_recurrent as user

STEPS = 300
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the forget-gate trick with the wrong sign: here z is the share that is overwritten, so a bias of +1"
    " forgets 73 % of the state at every step and nothing, forward or backward, crosses 60 steps"
)
X, Y = user.records(600, seed=123)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    nn.init.constant_(net.cell.wz.bias, -4.0)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.8 -- as it is: 0.635, 0.2033, 0.2217"
    "; cured: 1.0, 1.0, 1.0; longest run 3.6 s on one core"
)
