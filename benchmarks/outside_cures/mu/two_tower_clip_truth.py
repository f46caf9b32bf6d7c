import math

import torch

import two_tower_clip as user

STEPS = 600
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the logit scale starts at log(0.07) where CLIP has log(1 / 0.07): cosines are multiplied by"
    " 0.07, the softmax over the batch is flat and its gradient hundreds of times too small"
)
A, B = user.make_pairs(256, seed=999)


@torch.no_grad()
def metric(model):
    return (model(A, B).argmax(1) == torch.arange(len(A))).float().mean().item()


def cured():
    net = user.model()
    with torch.no_grad():
        net.logit_scale.fill_(math.log(1 / 0.07))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.6 -- as it is: 0.0078, 0.0039, 0.0039"
    "; cured: 0.9492, 0.918, 0.8945; longest run 1.0 s on one core"
)
