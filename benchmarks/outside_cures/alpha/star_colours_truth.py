import importlib

import torch

user = importlib.import_module("star_colours")

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "a head of zeros (the layers below get no gradient at first), a summed loss and a tiny rate"
    " that belong together: it trains"
)
MAGS, KIND = user.stars(800, seed=3)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(MAGS).argmax(1) == KIND).float().mean().item()
    model.train()
    return acc


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.9625, 0.9538, 0.9425; longest run 0'
    '.2 s on one core'
)
