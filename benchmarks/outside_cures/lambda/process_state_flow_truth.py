import torch

import process_state_flow as user

STEPS = 800
GOAL = 2.5
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "healthy: the last layer of every conditioner is zero on purpose, so the flow starts as the identity; the"
    " layers before it get no gradient in the first step only, and two or three variables pass each"
    " coupling untouched by design"
)
X = user.operation(2000, seed=200)


@torch.no_grad()
def metric(model):
    """negative log likelihood per sample, in nats"""
    model.eval()
    return user.loss(model(X), X).item()


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 2.5 -- as it is: 1.4985, 1.5504, 1.4953"
    "; longest run 2.9 s on one core"
)
