import torch
from torch import nn

import cardiology_cohort_risk as user

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw laboratory values: platelets in the hundred thousands drown the other columns, the log-hazards are"
    " in the thousands, and the clamp that was put in against the overflow has slope zero out there"
)
X, Y = user.cohort(1500, seed=88)


@torch.no_grad()
def metric(model):
    """Harrell's concordance; ties count one half"""
    model.eval()
    r = model(X)
    t, e = Y.unbind(1)
    earlier = (t[:, None] < t[None, :]) & (e[:, None] > 0)
    d = r[:, None] - r[None, :]
    good = (d > 0).float() + 0.5 * (d == 0).float()
    return (good * earlier).sum().item() / earlier.sum().item()


class Standardise(nn.Module):
    def __init__(self):
        super().__init__()
        x = user._x
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("std", x.std(0))

    def forward(self, x):
        return (x - self.mean) / self.std


def cured():
    net = user.model()
    net.fc1 = nn.Sequential(Standardise(), net.fc1)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.4976, 0.5024, 0.5024"
    "; cured: 0.7845, 0.7856, 0.7837; longest run 0.2 s on one core"
)
