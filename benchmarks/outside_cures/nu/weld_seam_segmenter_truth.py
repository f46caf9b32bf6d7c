import torch
from torch import nn

import weld_seam_segmenter as user

STEPS = 300
GOAL = 0.4
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the helper for hidden layers also makes the mask's logits: no logit below 0, no probability"
    " below a half, and with 94 % background the ReLU is soon dead at every pixel"
)
X, Y = user.synth_xray(150, seed=61)


@torch.no_grad()
def metric(model):
    """Intersection over union at probability 1/2."""
    p = model(X) > 0.5
    t = Y > 0.5
    return ((p & t).sum() / (p | t).sum().clamp(min=1)).item()


def cured():
    net = user.model()
    net.mask = nn.Conv2d(10, 1, 1)
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.4 -- as it is: 0.0, 0.0, 0.0"
    "; cured: 0.8747, 0.8615, 0.8625; longest run 6.7 s on one core"
)
