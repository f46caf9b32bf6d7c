import torch

import solar_echo_state as user

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: a frozen random recurrence under no_grad with a trained read-out is what an echo"
    " state network is, and it forecasts well"
)
X, Y = user.inverter(200, 2)


@torch.no_grad()
def metric(model):
    """R squared."""
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return (1 - (out - Y).pow(2).sum() / (Y - Y.mean()).pow(2).sum()).item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 0.848, 0.8461, 0.8446"
    "; longest run 3.7 s on one core"
)
