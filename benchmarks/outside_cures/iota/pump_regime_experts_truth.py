import torch
import torch.nn.functional as F

import pump_regime_experts as user

STEPS = 800
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the router's answer is argmax and one-hot, which have no derivative: the router never gets a"
    " gradient and keeps its random partition of the readings"
)
X, Y = user.readings(1000, 1)


@torch.no_grad()
def metric(model):
    """R squared."""
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return (1 - (out - Y).pow(2).sum() / (Y - Y.mean()).pow(2).sum()).item()


class Soft(user.Router):
    def forward(self, x):
        return F.softmax(self.net(x), dim=-1)


def cured():
    net = user.model()
    net.router.__class__ = Soft
    return net, torch.optim.Adam(net.parameters(), lr=5e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.85 -- as it is: 0.3375, 0.4104, 0.3951"
    "; cured: 0.9356, 0.9078, 0.9373; longest run 0.8 s on one core"
)
