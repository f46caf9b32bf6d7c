import torch
from torch import nn

import load_curve_encoder as user

STEPS = 300
GOAL = 0.45
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "LayerNorm over a single channel turns every value into its bias: the series never enters the"
    " network, and nothing goes back to it; leave the norm out (or normalise over time)"
)
X, Y = user.valid_x, user.valid_y


@torch.no_grad()
def metric(model):
    """R2 of the forecast."""
    model.eval()
    r2 = 1 - (model(X) - Y).pow(2).mean() / Y.var(unbiased=False)
    model.train()
    return r2.item()


def cured():
    net = user.model()
    net.embed[0] = nn.Identity()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.45 -- as it is: -0.003232, -0.03236, -0.005334; cured: 0.9133, 0.9038, 0.9205; longest run 7.2 s on one core'
)
