import torch
from torch import nn

import chirp_m5 as user

STEPS = 350
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "pre-activation blocks, so the last thing before the average over time is an instance norm,"
    " which makes that average the same for every clip: the head sees a constant and no gradient"
    " passes"
)
X, Y = user.clips(500, 18)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return (out.argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    net.gap = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool1d(1))
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 350 steps, goal 0.55 -- as it is: 0.174, 0.174, 0.174"
    "; cured: 0.998, 0.946, 1.0; longest run 2.7 s on one core"
)
