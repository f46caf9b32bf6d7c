import torch

import binary_code_hashing as user

STEPS = 800
GOAL = 0.45
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "none: the sign in the middle has no derivative, but a straight-through backward pass of the"
    " user's own carries the gradient to the encoder, and it learns"
)
X = user.unseen


@torch.no_grad()
def metric(model):
    return 1 - ((model(X) - X) ** 2).sum().item() / ((X - X.mean(0)) ** 2).sum().item()


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.45 -- as it is: 0.7359, 0.7352, 0.7279; longest run 0.8 s on one core'
)
