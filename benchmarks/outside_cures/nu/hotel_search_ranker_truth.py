import torch
from torch import nn

import hotel_search_ranker as user

STEPS = 600
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the helper for hidden layers also makes the score: a layer normalisation over a single number"
    " returns its bias whatever comes in, so that all hotels get one score and nothing a gradient"
)
H, C, Y = user.pages(1000, seed=6)


@torch.no_grad()
def metric(model):
    """Share of pages whose booked hotel is first; equal scores share the place."""
    s = model(H, C)
    best = s >= s.max(1, keepdim=True).values - 1e-6
    return (best.gather(1, Y[:, None])[:, 0].float() / best.sum(1)).mean().item()


def cured():
    net = user.model()
    net.tower[-1] = nn.Linear(32, 1)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.5 -- as it is: 0.0833, 0.0833, 0.0833"
    "; cured: 0.701, 0.696, 0.692; longest run 1.4 s on one core"
)
