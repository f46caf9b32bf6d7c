import importlib

import torch

user = importlib.import_module("siren_terrain")

STEPS = 500
GOAL = 0.8  # R squared
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "sines with a factor of 12 inside and tiny weights: SIREN as it should be"
P, H = user.survey(800, 3)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(P) - H) ** 2).mean()
    model.train()
    return 1 - (rest / H.var()).item()


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.9977, 0.9993, 0.9973; longest run 0'
    '.3 s on one core'
)
