import torch
from torch import nn

import realnvp_plane as user

STEPS = 500
GOAL = 11.3
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "unbounded exp(s) of coupling nets fed with raw coordinates of some hundred mm: scales multiply"
    " to overflow in the first forward passes"
)
X = user.hits(1000, 8)


@torch.no_grad()
def metric(model):
    return user.loss(model(X), None).item()


class Bounded(user.Coupling):
    def __init__(self, flip):
        super().__init__(flip)
        nn.init.zeros_(self.st[-1].weight)
        nn.init.zeros_(self.st[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.st(a).chunk(2, dim=1)
        s = 2 * torch.tanh(s / 2)
        b = b * torch.exp(s) + t
        return torch.cat([b, a] if self.flip else [a, b], dim=1), s.squeeze(1)


class Whitened(user.RealNVP):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Bounded(layer.flip) for layer in self.layers)
        self.mean, self.std = user.train_x.mean(0), user.train_x.std(0)

    def forward(self, x):
        z, log_det = super().forward((x - self.mean) / self.std)
        return z, log_det - self.std.log().sum()


def cured():
    net = Whitened()
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 11.3 -- as it is: nan, nan, nan"
    "; cured: 10.94, 11, 10.97; longest run 3.2 s on one core"
)
