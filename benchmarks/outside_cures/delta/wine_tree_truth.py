import torch

import wine_tree as user

STEPS = 300
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: steep sigmoid splits are saturated by design and the leaves start at zero (so the splits have no gradient at step 0); the ensemble learns within a few epochs"


def metric(model):
    with torch.no_grad():
        return (model(user.X[user.held_out]).argmax(1) == user.Y[user.held_out]).float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.88 -- as it is: 0.9706, 0.9265, 0.9559; longest run 1.0 s on one core'
)
