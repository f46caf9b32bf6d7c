import torch

import gait_echo_state as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: the frozen recurrent part under no_grad is a reservoir, random by design; nearly all weights"
    " get no gradient, the readout does and that is enough. The high learning rate suits its small inputs"
)
X, Y = user.windows(800, seed=66)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(X).argmax(1) == Y).float().mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.99, 0.9862, 0.9887"
    "; longest run 2.7 s on one core"
)
