import torch

import robot_arm_inverse_mdn as user

STEPS = 800
GOAL = 0.0
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "none: the loss is a log density and passes through zero to negative values, and the best"
    " constant answer is a mixture; it learns both branches"
)
X, Q = user.arm(2000, 4)


@torch.no_grad()
def metric(model):
    return user.loss(model(X), Q).item()


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0 -- as it is: -4.398, -5.188, -5.072; longest run 1.1 s on one core'
)
