import torch

import rezero_mixer_stack as user

STEPS = 220
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: forty branches with a factor of zero get no gradient in the first step alone, as ReZero means it"


@torch.no_grad()
def metric(model):
    return (model(user.X[user.VAL]).argmax(1) == user.Y[user.VAL]).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 220 steps, goal 0.7 -- as it is: 0.9356, 0.9638, 0.9497"
    "; longest run 6.8 s on one core"
)
