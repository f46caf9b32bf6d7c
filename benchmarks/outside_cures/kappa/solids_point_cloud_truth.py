import torch

import solids_point_cloud as user

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: twenty ReZero blocks with a gain of 0 and a zero head: nothing but the head gets a gradient in the"
    " first step, and after a few steps all learn"
)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(user.P_test).argmax(1) == user.T_test).float().mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.995, 0.975, 0.96"
    "; longest run 5.4 s on one core"
)
