import torch
from torch import nn

import listing_pair_ranker as user

STEPS = 500
GOAL = 0.73
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the score itself, one number, goes through the layer normalisation: of one feature it makes exactly 0,"
    " so every score is the shift, every difference 0, and no weight ever gets a gradient"
)
A, B, Y = user.click_log(3000, seed=909, noise=0.3)


@torch.no_grad()
def metric(model):
    model.eval()
    return ((model(A, B) > 0).float() == Y).float().mean().item()


def cured():
    net = user.model()
    net.scorer.norms[-1] = nn.Identity()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.73 -- as it is: 0.4977, 0.4977, 0.4977"
    "; cured: 0.893, 0.8863, 0.896; longest run 1.0 s on one core"
)
