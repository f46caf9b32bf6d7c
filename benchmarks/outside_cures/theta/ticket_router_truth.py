import torch

import ticket_router as user

STEPS = 350
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Adam with a rate of 0.02 on a post-LN transformer without warm-up: the first steps throw it onto a plateau"
    " where all tickets look alike; a rate around 1e-3 trains it"
)
X, Y = user.corpus(1000, seed=1001)


@torch.no_grad()
def metric(model):
    "accuracy on unseen tickets"
    model.eval()
    acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 350 steps, goal 0.7 -- as it is: 0.242, 0.242, 0.242; cured: 1, 1, 1; longest run 5.0 s on one core'
)
