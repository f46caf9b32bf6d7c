import torch
from torch import nn

import deepsurv_heart as user

STEPS = 500
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw columns, from 0/1 to 263,000 platelets: the platelets, which mean nothing, drown what matters;"
    " the inputs have to be standardised"
)
X, Y = user.cohort(800, seed=123)


@torch.no_grad()
def metric(model):
    "Harrell's concordance on unseen patients"
    model.eval()
    h = model(X).squeeze(-1)
    model.train()
    t, e = Y[:, 0], Y[:, 1]
    pairs = (t[:, None] < t[None]) & (e[:, None] > 0)
    right = (h[:, None] > h[None]).float() + 0.5 * (h[:, None] == h[None]).float()
    return (right[pairs].mean()).item()


def cured():
    net = user.model()
    net.net.insert(0, nn.BatchNorm1d(len(user.COLUMNS), affine=False))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.7 -- as it is: 0.4986, 0.5777, 0.5186; cured: 0.8041, 0.8036, 0.8049; longest run 0.5 s on one core'
)
