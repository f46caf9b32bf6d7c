import torch
from torch import nn

import movie_ratings_mf as user

STEPS = 700
GOAL = 0.75
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "embeddings keep nn.Embedding's N(0, 1): dot products of 32 of them have a spread of six stars, so the"
    " training remembers pairs on top of that noise and never shares tastes; they should start small"
)
i = user.test_idx
U, M, S = (torch.from_numpy(a[i]) for a in (user.users, user.movies, user.stars))


@torch.no_grad()
def metric(model):
    "root mean squared error in stars, of ratings kept away"
    return (model(U, M).clamp(1, 5) - S).pow(2).mean().sqrt().item()


def cured():
    net = user.model()
    for table in (net.user, net.movie):
        nn.init.normal_(table.weight, std=0.05)
    nn.init.zeros_(net.user_bias.weight)
    nn.init.zeros_(net.movie_bias.weight)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 700 steps, goal 0.75 -- as it is: 1.88, 1.898, 1.906; cured: 0.4431, 0.4424, 0.4425; longest run 0.4 s on one core'
)
