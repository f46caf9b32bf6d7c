import torch

import echo_state_narma as user

STEPS = 500
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: the reservoir is frozen and without gradient on purpose, the readout learns"
U, Y = user.narma(200, seed=4242)


@torch.no_grad()
def metric(model):
    """explained share of the variance"""
    y = Y[:, user.WASHOUT:]
    return (1 - ((model(U) - y) ** 2).mean() / y.var()).item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.5 -- as it is: 0.9289, 0.9211, 0.9531"
    "; longest run 2.6 s on one core"
)
