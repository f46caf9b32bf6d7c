import torch
from torch import nn

import feeder_load_gated_tcn as user

STEPS = 500
GOAL = 0.4
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the negative gate bias of highway networks without their carry path: seven gates of 0.12 in a"
    " row close the stack; and an eps of 1e-3 in RMSprop, larger than the gradients that are left"
)
X, Y = user.windows(user.simulate_feeder(24 * 7 * 4, seed=51))


@torch.no_grad()
def metric(model):
    """Explained variance of the next hours on another feeder."""
    return 1 - ((model(X) - Y) ** 2).mean().item() / Y.var().item()


class Carry(user.GatedLayer):
    def forward(self, x):
        y = super().forward(x)
        return x + y if x.shape == y.shape else y


def cured():
    net = user.model()
    for layer in net.stack:
        layer.__class__ = Carry
        nn.init.zeros_(layer.T.bias)
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.4 -- as it is: -0.0521, -0.0449, -0.0509"
    "; cured: 0.8556, 0.8493, 0.8505; longest run 4.4 s on one core"
)
