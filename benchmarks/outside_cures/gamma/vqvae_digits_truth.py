import torch

import vqvae_digits as user

STEPS = 800
GOAL = 0.06
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "Healthy: argmin and detach everywhere, but the straight-through path and the two "
    "commitment terms give every part its gradient."
)


def metric(model):
    """Mean squared error of the reconstruction; the mean image has about 0.075."""
    x = user.digits[1400:]
    model.eval()
    with torch.no_grad():
        return ((model(x)[0] - x) ** 2).mean().item()


EVIDENCE = (
    "800 steps, seeds 0 1 2: as it is 0.03414, 0.02867, 0.02763; goal 0.06; slowest run "
    "3.4 s on one core"
)
