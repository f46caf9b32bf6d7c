import torch

import siren_image as user

STEPS = 600
GOAL = 0.1
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "healthy: weights of a hundredth and omega 30 by design"
XY = 1.9 * torch.rand(1500, 2, generator=torch.Generator().manual_seed(3)) - 0.95
Z = user.picture(XY)[:, None]


@torch.no_grad()
def metric(model):
    """unexplained share of the variance between the training pixels"""
    return ((model(XY) - Z).pow(2).mean() / Z.var()).item()


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.1 -- as it is: 0.002611, 0.006447, 0.005638; longest run 1.3 s on one core"
)
