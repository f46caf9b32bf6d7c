import torch
from torch import nn

import shop_sales_gru as user

STEPS = 600
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the target is in euros (around 15000) and the head starts at 0 with steps of 0.003: the output"
    " never gets there and the recurrence saturates on the way; the output (or target) wants"
    " standardising"
)
X, Y = user.make_xy(user.test_w)


@torch.no_grad()
def metric(model):
    """R2 on later days."""
    return (1 - (model(X) - Y).pow(2).mean() / Y.var(unbiased=False)).item()


class InEuros(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        y = user.make_xy(user.train_w)[1]
        self.mean, self.std = y.mean(), y.std()

    def forward(self, x):
        return self.mean + self.std * self.net(x)


def cured():
    net = InEuros(user.model())
    return net, torch.optim.Adam(net.parameters(), lr=0.003), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.5 -- as it is: -4.39, -4.389, -4.389; cured: 0.9401, 0.9383, 0.9396; longest run 3.9 s on one core'
)
