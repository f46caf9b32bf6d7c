import torch
from torch import nn

import moons_coupling_flow as user

STEPS = 600
GOAL = 2.1
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "ten couplings with exp(s) and nothing that bounds s: one large step multiplies through all of them, the"
    " squares of the latents and the gradients explode at this learning rate"
)


@torch.no_grad()
def metric(model):
    """Held-out nats."""
    return user.nll(model(user.keep)).item()


def cured():
    net = user.model()
    for layer in net.layers:
        layer.s.append(nn.Tanh())
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 2.1 -- as it is: nan, nan, nan"
    "; cured: 1.4213, 1.5862, 1.422; longest run 4.9 s on one core"
)
