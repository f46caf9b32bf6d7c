import torch

import edge_bf16 as user

STEPS = 500
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "precision: the parameters themselves are bfloat16; updates of 1e-4 are below half a unit in the last place of most weights and are rounded away"


def metric(model):
    with torch.no_grad():
        return (model(user.Xte).argmax(1) == user.yte).float().mean().item()


def cured():
    net = user.model().float()
    return net, torch.optim.Adam(net.parameters(), lr=1e-4), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.9 -- as it is: 0.605, 0.7783, 0.68; cured: 0.9917, 0.9917, 0.9883; longest run 1.7 s on one core'
)
