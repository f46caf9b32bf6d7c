import torch

import kiosk_turnover_noisy as user

STEPS = 900
GOAL = 0.65
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: five sixths of the variance of the target is noise that no network can foresee, so the loss"
    " falls by a little only; the expectation, which is what can be learnt, is learnt well"
)
X, _, MEAN = user.hours(4000, seed=1010)


@torch.no_grad()
def metric(model):
    """R2 against the noise-free expectation"""
    model.eval()
    return (1 - (model(X) - MEAN).pow(2).mean() / MEAN.var()).item()


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.65 -- as it is: 0.899, 0.8714, 0.9052"
    "; longest run 1.0 s on one core"
)
