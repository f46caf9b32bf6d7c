import importlib

import torch

user = importlib.import_module("plant_power")

STEPS = 400
GOAL = 0.8  # R squared
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "a loss of 1e15 and gradients to match, but units are handled inside and Adam does not care"
X, WATT = user.plant(700, seed=5)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(X) - WATT) ** 2).mean()
    model.train()
    return 1 - (rest / WATT.var()).item()


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.9751, 0.9813, 0.981; longest run 0.'
    '1 s on one core'
)
