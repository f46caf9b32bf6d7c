import torch
import torch.nn.functional as F
from torch import nn

import building_two_heads as user

STEPS = 500
GOAL = 0.4
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the energy target is in Wh (about 25 000) under a plain squared error next to a cross entropy:"
    " the output cannot come up to it at this rate, and the other task is drowned by 1e8"
)
X, (WH, STATE) = user.building(800, 71)


@torch.no_grad()
def metric(model):
    """The worse of the two tasks: R2 of the energy, accuracy above chance of the occupancy."""
    was = model.training
    model.eval()
    wh, occ = model(X)
    model.train(was)
    r2 = 1 - (wh - WH).pow(2).sum() / (WH - WH.mean()).pow(2).sum()
    acc = (occ.argmax(1) == STATE).float().mean()
    return max(-1.0, min(r2.item(), (acc.item() - 1 / 3) * 1.5))


class InWh(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        z, occ = self.net(x)
        return user.WH.mean() + user.WH.std() * z, occ


def cured():
    net = InWh(user.model())
    sd = user.WH.std()

    def loss(out, target):
        wh, occ = out
        return F.mse_loss(wh / sd, target[0] / sd) + F.cross_entropy(occ, target[1])

    return net, torch.optim.Adam(net.parameters(), lr=1e-3), loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.4 -- as it is: -0.2, -0.2675, -0.2788"
    "; cured: 0.8608, 0.8691, 0.8612; longest run 3.2 s on one core"
)
