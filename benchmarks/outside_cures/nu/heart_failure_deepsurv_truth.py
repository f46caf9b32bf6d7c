import torch
from torch import nn

import heart_failure_deepsurv as user

STEPS = 700
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "columns in raw units: platelets of 1e5 drive every tanh of the first layer to +-1 by"
    " themselves, the other columns get neither a say nor a gradient"
)
X, Y = user.X_VAL, user.Y_VAL


@torch.no_grad()
def metric(model):
    """Harrell's concordance index."""
    was = model.training
    model.eval()
    r = model(X)
    model.train(was)
    t, e = Y[:, 0], Y[:, 1]
    comparable = (t[:, None] < t[None, :]) & (e[:, None] > 0)
    d = r[:, None] - r[None, :]
    return (((d > 0).float() + 0.5 * (d == 0).float())[comparable]).mean().item()


def cured():
    net = user.model()
    net.net.insert(0, nn.BatchNorm1d(len(user.COLUMNS)))
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 700 steps, goal 0.7 -- as it is: 0.4991, 0.5, 0.5"
    "; cured: 0.8057, 0.8052, 0.8069; longest run 1.2 s on one core"
)
