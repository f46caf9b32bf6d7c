import torch

import trace_gas as user

STEPS = 600
GOAL = 0.05
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "healthy: targets of 1e-6 and gradients of 1e-12, but the output is in the same unit and Adam's eps is 1e-20, so that the scale cancels"


def metric(model):
    with torch.no_grad():
        c = user.conc[2000:]
        return ((model(user.absorb[2000:]) - c).abs() / c).median().item()


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.05 -- as it is: 0.02087, 0.02633, 0.03143; longest run 1.5 s on one core'
)
