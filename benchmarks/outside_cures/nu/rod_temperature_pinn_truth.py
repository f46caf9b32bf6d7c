import torch
from torch import nn

import rod_temperature_pinn as user

STEPS = 700
GOAL = 0.4
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the second derivative of a network of leaky ReLUs is zero everywhere: the equation gives no"
    " gradient, and only the two ends are learnt"
)
X = torch.linspace(0, 1, 201)[:, None]


def metric(model):
    """Relative error of the temperature."""
    T = model(X.clone()).detach()[:, :1]
    true = user.true_temperature(X)
    return ((T - true).norm() / true.norm()).item()


class Smooth(user.RodNet):
    def temperature(self, x):
        h = torch.tanh(self.inp(x))
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        return self.out(h)


def cured():
    net = Smooth()
    for layer in [net.inp, *net.hidden]:
        nn.init.xavier_normal_(layer.weight)
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 700 steps, goal 0.4 -- as it is: 0.8863, 0.9982, 0.8772"
    "; cured: 0.0133, 0.0154, 0.0061; longest run 1.3 s on one core"
)
