import torch
from torch import nn

import recipe_taste_factors as user

STEPS = 900
GOAL = 0.4
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "weight decay inside Adam, on embeddings: of a mean over 400 ratings a row gets a tiny gradient and in"
    " half of the steps none, while 0.02 w is added every step and normalised to the full rate with it: the"
    " factors are wiped out faster than they can be learnt, and zero times zero has no gradient"
)
U, R, S = user.draw_ratings(10_000, seed=2)


@torch.no_grad()
def metric(model):
    """share of the variance of the ratings that is left unexplained"""
    model.eval()
    return (((model(U, R) - S) ** 2).mean() / S.var()).item()


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=0.0), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.4 -- as it is: 0.968, 0.9686, 0.9681"
    "; cured: 0.0335, 0.0344, 0.0327; longest run 0.5 s on one core"
)
