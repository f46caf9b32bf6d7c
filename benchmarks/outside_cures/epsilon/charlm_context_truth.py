import torch
from torch import nn

import charlm_context as user

STEPS = 600
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "softmax in the network and again in CrossEntropyLoss: with some thirty classes the loss is"
    " nearly flat and the gradient goes through a second softmax that has none to give"
)
X, Y = user.windows(user.held_out)


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    net.mlp[4] = nn.Identity()
    return net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.8 -- as it is: 0.3736, 0.4086, 0.3666"
    "; cured: 0.9034, 0.91, 0.9108; longest run 0.6 s on one core"
)
