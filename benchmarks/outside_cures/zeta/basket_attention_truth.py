import torch

import basket_attention as user

STEPS = 500
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the attention scores are multiplied by sqrt(d) where they should be divided by it: with d = 64"
    " they are 64 times too large, the softmax is one-hot and passes no gradient to queries and keys,"
    " from the start (or after a burst: the few slopes that are left are 64 times too steep, so that"
    " a seed which learns at first is thrown off and then stands still)"
)
(ART, ACT), BOUGHT = user.sessions(800, 2)


@torch.no_grad()
def metric(model):
    return (model(ART, ACT).argmax(1) == BOUGHT).float().mean().item()


def cured():
    net = user.model()
    for layer in net.layers:
        layer.att.scale = layer.att.d**-0.5
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.6 -- as it is: 0.01875, 0.0225, 0.02375; cured: 1, 1, 1; longest run 5.5 s on one core'
)
