import torch

import claims_fourier as user

STEPS = 800
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: the first layer is frozen by design, coordinates go in unscaled (the projection divides them), and the head starts at zero"


def metric(model):
    """R2 on held-out points"""
    with torch.no_grad():
        x, y = user.X[2000:], user.y[2000:]
        return (1 - (model(x) - y).pow(2).mean() / y.var()).item()


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.7 -- as it is: 0.9255, 0.9296, 0.9255; longest run 0.4 s on one core'
)
