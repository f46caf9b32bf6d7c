import torch
from torch import nn

import cell_unet_masks as user

STEPS = 300
GOAL = 0.3
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the block conv-BN-ReLU is also the output layer: logits are never negative, so no pixel gets a probability"
    " below one half, and where the ReLU clips there is no gradient; the loss stays near ln 2"
)


@torch.no_grad()
def metric(model):
    """Held-out cross-entropy a pixel."""
    model.eval()
    return nn.functional.binary_cross_entropy_with_logits(model(user.X_val), user.M_val).item()


def cured():
    net = user.model()
    net.outc = nn.Conv2d(8, 1, 1)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.3 -- as it is: 0.6514, 0.6506, 0.6508"
    "; cured: 0.1491, 0.0939, 0.1995; longest run 3.2 s on one core"
)
