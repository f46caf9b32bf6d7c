import torch

import spectra_vqvae as user

STEPS = 800
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: argmin has no derivative and half of the tensors are detached, but the straight-through estimator and"
    " the codebook loss are as they should be"
)


@torch.no_grad()
def metric(model):
    """Share of the held-out variance that is explained through the codes."""
    model.eval()
    recon, _ = model(user.TEST)
    rest = (recon - user.TEST).square().sum()
    return (1 - rest / (user.TEST - user.TRAIN.mean(0)).square().sum()).item()


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.6 -- as it is: 0.9109, 0.8848, 0.9267"
    "; longest run 3.8 s on one core"
)
