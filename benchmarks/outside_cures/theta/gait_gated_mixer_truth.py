import torch

import gait_gated_mixer as user

STEPS = 350
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: gates at 0 (ReZero) and a head at 0 let no gradient into the blocks at the first step, and open"
    " within some steps"
)
X, Y = user.walk(1000, seed=4)


@torch.no_grad()
def metric(model):
    "accuracy on unseen windows"
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 350 steps, goal 0.85 -- as it is: 1, 1, 1; longest run 5.7 s on one core'
)
