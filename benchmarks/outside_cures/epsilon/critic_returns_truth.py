import torch
from torch import nn

import critic_returns as user

STEPS = 500
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "returns in the thousands, not normalised: the output can only creep there by the learning rate, the hidden tanh saturate meanwhile"
S, R = user.simulate(800, 123)


def metric(model):
    with torch.no_grad():
        p = model(S)
    return (1 - ((p - R) ** 2).mean() / R.var()).item()


class Denormalised(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.mean, self.std = user.RETURN.mean(), user.RETURN.std()

    def forward(self, s):
        return self.net(s) * self.std + self.mean


def cured():
    net = Denormalised(user.model())
    scale = net.std**2

    def loss(output, target):
        return nn.functional.mse_loss(output, target) / scale

    return net, torch.optim.Adam(net.parameters(), lr=3e-3), loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.9 -- as it is: -16.1, -16.11, -16.1"
    "; cured: 0.996, 0.9955, 0.9966; longest run 0.5 s on one core"
)
