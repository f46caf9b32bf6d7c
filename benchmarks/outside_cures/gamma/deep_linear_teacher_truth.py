import torch

import deep_linear_teacher as user

STEPS = 800
GOAL = 0.3
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "Healthy: a deep linear network from smallish weights sits on a plateau first and then learns all modes."


def metric(model):
    """Share of the variance that is left unexplained on fresh samples."""
    x, y = user.make_set(600, 50)
    model.eval()
    with torch.no_grad():
        return (((model(x) - y) ** 2).sum() / (y**2).sum()).item()


EVIDENCE = (
    "800 steps, seeds 0 1 2: as it is 0.002096, 0.002094, 0.002093; goal 0.3; slowest run "
    "3.1 s on one core"
)
