import numpy as np
import torch
from torch import nn

import segment_expert_pricing as user

STEPS = 900
GOAL = 0.28
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the router's argmax has no derivative and its one-hot is not multiplied by a probability: the router"
    " gets no gradient at all, and the experts have to live with a random partition of the customers"
)
X, P = user.offers(2000, np.random.RandomState(77))


@torch.no_grad()
def metric(model):
    """mean squared error, as a share of the variance of the price"""
    model.eval()
    return (((model(X) - P) ** 2).mean() / P.var()).item()


class SoftRouter(user.Router):
    def forward(self, x):
        return self.net(x).softmax(dim=1)


def cured():
    net = user.model()
    net.router = SoftRouter(user.D, 12)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.28 -- as it is: 0.5436, 0.574, 0.5514"
    "; cured: 0.0148, 0.0172, 0.0133; longest run 1.2 s on one core"
)
