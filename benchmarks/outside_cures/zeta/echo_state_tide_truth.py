import torch

import echo_state_tide as user

STEPS = 500
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: the recurrent part is a fixed reservoir under no_grad and outside the optimiser by"
    " design; the linear readout learns the task"
)


@torch.no_grad()
def metric(model):
    """R2 on other gauges."""
    y = user.later_level
    return (1 - (model(user.later_series) - y).pow(2).mean() / y.var(unbiased=False)).item()


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.7 -- as it is: 0.8562, 0.7925, 0.859; longest run 2.5 s on one core'
)
