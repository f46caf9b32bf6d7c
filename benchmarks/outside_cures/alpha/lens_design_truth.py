import importlib

import torch

user = importlib.import_module("lens_design")

STEPS = 500
GOAL = 0.75  # R squared
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "a loss of 1e-6 and gradients below 1e-7, as the targets are tiny; the output is scaled"
    " accordingly and Adam's eps of 1e-16 is far smaller still"
)
C, SPOT = user.trace(800, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(C) - SPOT) ** 2).mean()
    model.train()
    return 1 - (rest / SPOT.var()).item()


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.75 -- as it is: 0.9846, 0.9819, 0.9843; longest run '
    '1.1 s on one core'
)
