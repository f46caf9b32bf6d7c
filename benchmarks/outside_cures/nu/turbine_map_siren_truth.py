import torch

import turbine_map_siren as user

STEPS = 800
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: sine activations with their own initialisation, whose small weights and slopes of 12"
    " belong together, and a small learning rate that suits them"
)
P, Q = user.cfd(1000, seed=31)


@torch.no_grad()
def metric(model):
    """Explained variance at points that were not simulated before."""
    return 1 - ((model(P) - Q) ** 2).mean().item() / Q.var(0).mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.8 -- as it is: 0.9965, 0.9969, 0.9968"
    "; longest run 1.6 s on one core"
)
