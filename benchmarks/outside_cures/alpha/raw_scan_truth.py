import importlib

import torch

user = importlib.import_module("raw_scan")

STEPS = 300
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "raw columns from 0.01 to 4,254 and sigmoids, but a batch normalisation before each of them"


def metric(model):
    model.eval()
    with torch.no_grad():
        guess = (model(user.table[user.TEST]) > 0).float()
    model.train()
    return (guess == user.benign[user.TEST]).float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.88 -- as it is: 1, 1, 1; longest run 1.1 s on one co'
    're'
)
