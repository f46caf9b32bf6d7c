import torch

import citations_gcnii as user

STEPS = 300
GOAL = 0.65
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: 16 graph convolutions would smooth all nodes into one, but the initial residual and the identity map"
    " keep them apart; full batch, one graph, labels for a quarter of the nodes, strong dropout"
)


@torch.no_grad()
def metric(model):
    model.eval()
    p = model(user.x, user.A_HAT).argmax(1)
    return (p[user.test_idx] == user.y[user.test_idx]).float().mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.65 -- as it is: 0.8833, 0.8567, 0.86"
    "; longest run 4.7 s on one core"
)
