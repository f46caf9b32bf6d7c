import torch

import rezero_tower as user

STEPS = 400
GOAL = 0.93
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: zero branches and a zero head by design; all but the head have zero gradient at the first step and move from the next ones on"


@torch.no_grad()
def metric(model):
    return (model(user.images[user.exam]).argmax(1) == user.digits[user.exam]).float().mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.93 -- as it is: 0.9885, 0.9856, 0.9856; longest run 2.7 s on one core"
)
