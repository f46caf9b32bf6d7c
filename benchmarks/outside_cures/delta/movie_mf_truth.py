import torch
from torch import nn

import movie_mf as user

STEPS = 700
GOAL = 0.55
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "zero initialisation of both factors of a product: each factor's gradient is the other factor, so both stay exactly zero for ever and only the biases learn"


def metric(model):
    """root mean squared error on unseen cells"""
    idx = torch.arange(user.N_TRAIN + user.N_VAL, len(user.R))
    with torch.no_grad():
        return (model(user.U[idx], user.I[idx]) - user.R[idx]).pow(2).mean().sqrt().item()


def cured():
    net = user.model()
    nn.init.normal_(net.P, std=0.1)
    nn.init.normal_(net.Q, std=0.1)
    return net, torch.optim.Adam(net.parameters(), lr=1e-2, weight_decay=1e-5), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 700 steps, goal 0.55 -- as it is: 1.278, 1.277, 1.277; cured: 0.2773, 0.2768, 0.2784; longest run 1.1 s on one core'
)
