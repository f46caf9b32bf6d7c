import importlib

import torch
import torch.nn.functional as F

user = importlib.import_module("bit_bottleneck")

STEPS = 600
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "bits in the middle and a detach, but it is a proper straight-through estimator"


def metric(model):
    model.eval()
    with torch.no_grad():
        e = F.mse_loss(model(user.te), user.te).item()
    model.train()
    return 1 - e / user.variance


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.5 -- as it is: 0.7606, 0.7559, 0.7552; longest run 0'
    '.4 s on one core'
)
