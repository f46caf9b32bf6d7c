import importlib

import torch
from torch import nn

user = importlib.import_module("river_flow")

STEPS = 500
GOAL = 12.0  # negative log likelihood in nats; independent Gaussians give about 12.9
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "nine couplings with an unbounded exp(s) on raw readings in the hundreds: the flow explodes"
    " and the loss ends as NaN or astronomically large"
)
X = user.readings(800, 2)


def metric(model):
    model.eval()
    with torch.no_grad():
        nll = user.loss(model(X), X).item()
    model.train()
    return nll


class Bounded(user.Coupling):
    def forward(self, x):
        keep = x * self.mask
        s, t = self.net(keep).chunk(2, dim=1)
        s, t = 2 * torch.tanh(s / 2) * (1 - self.mask), t * (1 - self.mask)
        return keep + (1 - self.mask) * (x * torch.exp(s) + t), s.sum(1)


class Standardised(nn.Module):
    def __init__(self, flow):
        super().__init__()
        self.flow = flow
        self.register_buffer("mean", user.train.mean(0))
        self.register_buffer("std", user.train.std(0))

    def forward(self, x):
        z, logdet = self.flow((x - self.mean) / self.std)
        return z, logdet - self.std.log().sum()


def cured():
    flow = user.model()
    flow.layers = nn.ModuleList(Bounded(layer.mask) for layer in flow.layers)
    net = Standardised(flow)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 12.0 -- as it is: nan, nan, nan; cured: 11.01, 11.11, '
    '11; longest run 1.5 s on one core'
)
