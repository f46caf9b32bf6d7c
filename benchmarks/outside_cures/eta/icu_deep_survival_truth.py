import torch
from torch import nn

import icu_deep_survival as user

STEPS = 500
GOAL = 0.72
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the columns come in raw units: platelets and weight of the order of 1e5 beside creatinine and"
    " lactate of the order of one, so two irrelevant columns rule the risk"
)
X, Y = user.cohort(1500, 7)


@torch.no_grad()
def metric(model):
    """Harrell's concordance"""
    r, t, e = model(X), Y[:, 0], Y[:, 1] > 0
    ok = e[:, None] & (t[:, None] < t[None, :])
    better = (r[:, None] > r[None, :]).float() + 0.5 * (r[:, None] == r[None, :]).float()
    return better[ok].mean().item()


class Standardise(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("std", x.std(0))

    def forward(self, x):
        return (x - self.mean) / self.std


def cured():
    net = user.model()
    net.net = nn.Sequential(Standardise(user.X), *net.net)
    return net, user.optimizer(net), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.72 -- as it is: 0.5027, 0.4991, 0.5115; cured: 0.813, 0.813, 0.8039; longest run 1.1 s on one core'
)
