import importlib

import torch

user = importlib.import_module("event_counter")

STEPS = 300
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "60 steps of an ungated ReLU recurrence, but it starts at the identity (IRNN) and trains"
X, Y = user.streams(800, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.8 -- as it is: 0.9914, 0.9943, 0.9857; longest run 1'
    '.0 s on one core'
)
