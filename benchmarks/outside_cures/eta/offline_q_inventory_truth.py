import torch
import torch.nn.functional as F
from torch import nn

import offline_q_inventory as user

STEPS = 800
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the returns are of the order of a thousand, the Huber loss passes a gradient of at most one"
    " per sample, and the steps of 2.5e-4 are far too small to carry the outputs there: the"
    " target's scale does not fit the loss and the learning rate"
)
S, AR = user.simulate(2000, seed=77)


@torch.no_grad()
def metric(model):
    q = model(S).gather(1, AR[:, :1].long()).squeeze(1)
    r = AR[:, 1]
    return 1 - ((q - r) ** 2).mean().item() / r.var().item()


class Scaled(nn.Module):
    def __init__(self, net, mean, std):
        super().__init__()
        self.net, self.mean, self.std = net, mean, std

    def forward(self, s):
        return self.net(s) * self.std + self.mean


def cured():
    mean, std = user.AR[:, 1].mean().item(), user.AR[:, 1].std().item()
    net = Scaled(user.model(), mean, std)

    def loss(q, target):
        chosen = q.gather(1, target[:, :1].long()).squeeze(1)
        return F.smooth_l1_loss(chosen / std, target[:, 1] / std)

    return net, torch.optim.Adam(net.parameters(), lr=1e-3), loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.75 -- as it is: -1.393, -1.384, -1.379; cured: 0.9787, 0.9788, 0.9835; longest run 0.6 s on one core'
)
