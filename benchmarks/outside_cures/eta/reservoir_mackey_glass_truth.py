import torch

import reservoir_mackey_glass as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "none: an echo state network is meant to have a frozen recurrence behind no_grad; its readout"
    " learns to predict the series"
)
X, Y = user.cut(user.mackey_glass(3000, seed=31))


@torch.no_grad()
def metric(model):
    return 1 - ((model(X) - Y) ** 2).mean().item() / Y.var().item()


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.899, 0.9661, 0.9202; longest run 5.3 s on one core'
)
