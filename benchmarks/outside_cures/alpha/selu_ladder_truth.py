import importlib

import torch

user = importlib.import_module("selu_ladder")

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "28 hidden layers without skips or norms, but SELU with its own initialisation: it trains"


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(user.features[user.held_out]).argmax(1) == user.classes[user.held_out]
    model.train()
    return hit.float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.925, 0.9452, 0.9378; longest run 1.'
    '2 s on one core'
)
