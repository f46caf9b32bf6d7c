import torch

import part_codes_binary as user

STEPS = 300
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: hard bits with a straight-through backward pass; the step has no slope, but the gradient is meant to pass and does"


@torch.no_grad()
def metric(model):
    model.eval()
    acc = (model(user.test_x).argmax(1) == user.test_y).float().mean().item()
    model.train()
    return acc


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.85 -- as it is: 0.9924, 0.9824, 0.9924; longest run 1.7 s on one core'
)
