import torch

import resmlp_digits as user

STEPS = 350
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: 16 residual branches whose last layer starts at zero; at step 0 the first layer of each branch has a gradient of exactly zero, by design, and from step 1 on it has not"


def metric(model):
    idx = user.split[2]
    with torch.no_grad():
        return (model(user.X[idx]).argmax(1) == user.Y[idx]).float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 350 steps, goal 0.9 -- as it is: 0.9741, 0.9769, 0.9741; longest run 2.6 s on one core'
)
