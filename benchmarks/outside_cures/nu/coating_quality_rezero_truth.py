import torch

import coating_quality_rezero as user

STEPS = 600
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: gates of zero and a head of zero let no gradient into the blocks at the first step, by"
    " design; they open within a few steps"
)
X, Z, Y = user.production(1500, 71)


@torch.no_grad()
def metric(model):
    """Explained variance on another week's production."""
    return 1 - ((model(X, Z) - Y) ** 2).mean().item() / Y.var().item()


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.7 -- as it is: 0.9762, 0.9802, 0.9774"
    "; longest run 5.3 s on one core"
)
