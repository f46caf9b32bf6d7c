import torch

import ddpm_rings_eps as user

STEPS = 600
GOAL = 0.55
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "healthy: zero-initialised last layers and a loss that cannot fall much, for most of the noise cannot"
    " be known from the point"
)
XT, TIME, EPS = user.diffuse(user.rings(3000, seed=5), seed=6)


@torch.no_grad()
def metric(model):
    return ((model(XT, TIME) - EPS) ** 2).mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.55 -- as it is: 0.3951, 0.3995, 0.3953"
    "; longest run 2.2 s on one core"
)
