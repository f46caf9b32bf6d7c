import torch
from torch import nn

import heart_failure_deepsurv as user

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw clinical columns: platelets of 263000 beside creatinine of 1.2; log-risks of ten thousands, every other"
    " column is invisible, the partial likelihood is saturated in a few samples"
)


@torch.no_grad()
def metric(model):
    """Harrell's concordance on held-out patients."""
    model.eval()
    r = model(user.x_test)
    t, e = user.y_test[:, 0], user.y_test[:, 1]
    usable = (t[:, None] < t[None, :]) & (e[:, None] > 0)
    d = r[:, None] - r[None, :]
    return ((d > 0).float() + 0.5 * (d == 0).float())[usable].mean().item()


class Standardise(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("std", x.std(0))

    def forward(self, x):
        return (x - self.mean) / self.std


def cured():
    net = user.model()
    net.body.insert(0, Standardise(user.x_train))
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.5497, 0.5359, 0.5391"
    "; cured: 0.7881, 0.7878, 0.7838; longest run 0.3 s on one core"
)
