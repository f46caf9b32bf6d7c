import torch

import weekly_demand_noisy as user

STEPS = 600
GOAL = 0.1
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: four fifths of the target's variance are noise, so that the best possible R squared is about 0.2;"
    " the network comes close to that"
)


@torch.no_grad()
def metric(model):
    """R squared on held-out stores."""
    model.eval()
    rest = (model(user.x_hold) - user.y_hold).square().mean()
    return (1 - rest / user.y_hold.var(unbiased=False)).item()


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.1 -- as it is: 0.1393, 0.138, 0.1394"
    "; longest run 0.3 s on one core"
)
