import torch

import churn_tabresnet as user

STEPS = 600
GOAL = 0.635
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: three labels in ten are wrong, so 0.70 is all that anyone can reach and the loss"
    " hardly moves from 0.69; zero-initialised branches and head are harmless"
)
X, Y = user.customers(6000, 1)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return ((out > 0).float() == Y).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.635 -- as it is: 0.684, 0.678, 0.674"
    "; longest run 1.5 s on one core"
)
