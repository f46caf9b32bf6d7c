import torch

import reservoir_forecast as user

STEPS = 400
GOAL = 0.5
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "Healthy: the recurrent weights are frozen, detached and missing from the optimiser on "
    "purpose (a reservoir); the readout alone learns."
)


def metric(model):
    """Root mean squared error over the standard deviation, on the later part of the series."""
    x, y = user.u[1600:], user.target[1600:]
    model.eval()
    with torch.no_grad():
        return (((model(x) - y) ** 2).mean().sqrt() / y.std()).item()


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.2256, 0.1579, 0.1725; goal 0.5; slowest run 3.1 s "
    "on one core"
)
