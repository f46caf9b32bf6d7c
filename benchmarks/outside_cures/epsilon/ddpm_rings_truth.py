import torch

import ddpm_rings as user

STEPS = 600
GOAL = 0.6
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "healthy: output layer, branches and modulations begin at zero by design; a loss that stays far from 0 is the noise that nobody can know"
_g = torch.Generator().manual_seed(40)
X, EPS = user.noised(user.rings(4000, _g), _g)


@torch.no_grad()
def metric(model):
    return (model(**X) - EPS).pow(2).mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.6 -- as it is: 0.4235, 0.423, 0.4206; longest run 4.1 s on one core"
)
