import importlib

import torch

user = importlib.import_module("fourier_kernel")

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "the projection is frozen and the read-out starts at zero, both on purpose: it learns well"


def metric(model):
    model.eval()
    with torch.no_grad():
        a = (model(user.x[user.test]).argmax(1) == user.y[user.test]).float().mean().item()
    model.train()
    return a


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.85 -- as it is: 0.9654, 0.9741, 0.9741; longest run '
    '0.2 s on one core'
)
