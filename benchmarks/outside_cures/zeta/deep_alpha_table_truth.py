import torch

import deep_alpha_table as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: the strengths start at zero, so at the first step all blocks are the identity and their"
    " weights get no gradient at all (ReZero); from the second step on they do, and the net trains"
)


@torch.no_grad()
def metric(model):
    return (model(user.x_val).argmax(1) == user.y_val).float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.9283, 0.935, 0.93; longest run 5.0 s on one core'
)
