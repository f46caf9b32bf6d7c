import torch
from torch import nn

import folk_tune_decoder as user

STEPS = 400
GOAL = 0.68
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the shared input/output matrix has nn.Embedding's unit variance and is scaled by sqrt(d) on top:"
    " the logits start at a spread of 8, bound to the current token, and the blocks' output drowns"
    " in a residual stream of size 8"
)
_s = user.tunes(400, torch.Generator().manual_seed(99))
X, Y = _s[:, :-1], _s[:, 1:]


@torch.no_grad()
def metric(model):
    return (model(X)[:, 1:].argmax(-1) == Y[:, 1:]).float().mean().item()


def cured():
    net = user.model()
    nn.init.normal_(net.tok.weight, std=0.02)
    nn.init.normal_(net.pos.weight, std=0.02)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.68 -- as it is: 0.4737, 0.4747, 0.4753; cured: 0.8279, 0.8372, 0.8307; longest run 9.1 s on one core'
)
