import torch

import siren_image as user

STEPS = 300
GOAL = 0.1
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "Healthy: sines of 30 times the input look wild, but the SIREN initialisation fits them."


def metric(model):
    """Mean squared error on pixels kept away (their variance is about 0.3)."""
    model.eval()
    with torch.no_grad():
        return ((model(user.coords[user.test]) - user.values[user.test]) ** 2).mean().item()


EVIDENCE = (
    "300 steps, seeds 0 1 2: as it is 0.006819, 0.006129, 0.006429; goal 0.1; slowest run "
    "1.9 s on one core"
)
