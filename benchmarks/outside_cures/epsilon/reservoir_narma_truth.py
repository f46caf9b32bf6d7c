import torch

import reservoir_narma as user

STEPS = 500
GOAL = 0.7
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "healthy: a frozen reservoir under no_grad, only the readout is meant to learn, and it does"
U, Y = user.samples(500, 21)


def metric(model):
    model.eval()
    with torch.no_grad():
        e = (model(U) - Y).pow(2).mean().sqrt() / Y.std()
    model.train()
    return e.item()


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.7 -- as it is: 0.4611, 0.4382, 0.4583; longest run 3.1 s on one core"
)
