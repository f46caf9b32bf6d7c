import torch

import chrono_recall as user

STEPS = 400
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: gates near 0 and 1 by design (chrono initialisation), which is why it can remember"
X, Y = user.make_split(500, 66)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(-1) == Y).float().mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.9 -- as it is: 1, 1, 1; longest run 2.5 s on one core"
)
