import importlib

import torch

user = importlib.import_module("rezero_tower")

STEPS = 500
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "every block starts with alpha = 0 and no gradient inside (ReZero); it opens and trains"
XY, ARM = user.spirals(600, seed=3)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = ((model(XY) > 0).float() == ARM).float().mean().item()
    model.train()
    return acc


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.9 -- as it is: 1, 1, 1; longest run 4.2 s on one cor'
    'e'
)
