import torch
from torch import nn

import used_car_prices as user

STEPS = 500
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "output (N, 1) against target (N,): MSELoss broadcasts to (N, N), every prediction is pulled to every target,"
    " and the best answer is the mean"
)
C, N, Y = user.CAT[user.N_TRAIN:], user.NUM[user.N_TRAIN:], user.Y[user.N_TRAIN:]


@torch.no_grad()
def metric(model):
    """R squared on held-out cars."""
    model.eval()
    p = model(C, N).flatten()
    return (1 - (p - Y).square().mean() / Y.var(unbiased=False)).item()


def cured():
    net = user.model()
    mse = nn.MSELoss()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), lambda out, y: mse(out.squeeze(1), y)


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.5 -- as it is: -0.0019, -0.005, -0.0032"
    "; cured: 0.9802, 0.9777, 0.9815; longest run 0.5 s on one core"
)
