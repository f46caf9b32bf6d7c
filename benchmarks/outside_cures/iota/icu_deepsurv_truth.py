import torch
from torch import nn

import icu_deepsurv as user

STEPS = 400
GOAL = 0.72
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw laboratory units as inputs: platelets (260 000) drown every other column, the log hazard"
    " starts at tens of thousands and the Cox loss sees nothing else"
)
X, Y = user.cohort(500, 41)


@torch.no_grad()
def metric(model):
    """Harrell's concordance."""
    was = model.training
    model.eval()
    risk = model(X).squeeze(1)
    model.train(was)
    time, event = Y[:, 0], Y[:, 1].bool()
    pair = (time[:, None] < time[None]) & event[:, None]
    right = (risk[:, None] > risk[None]).float() + 0.5 * (risk[:, None] == risk[None]).float()
    return right[pair].mean().item()


class Standardised(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", user.x_train.mean(0))
        self.register_buffer("std", user.x_train.std(0))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def cured():
    net = Standardised(user.model())
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.72 -- as it is: 0.4741, 0.4694, 0.4732"
    "; cured: 0.8285, 0.829, 0.8294; longest run 0.3 s on one core"
)
