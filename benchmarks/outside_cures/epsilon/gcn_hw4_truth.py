import torch
from torch import nn

import gcn_hw4 as user

STEPS = 300
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "nine sigmoid graph convolutions on top of each other, no skips: slope of 1/4 a layer, and all"
    " nodes alike after so many smoothings"
)


@torch.no_grad()
def metric(model):
    t = user.test_nodes
    return (model(t).argmax(1) == user.labels[t]).float().mean().item()


class Residual(user.GCN):
    def forward(self, nodes):
        h = torch.relu(self.convs[0](self.A, self.x))
        for conv in self.convs[1:]:
            h = h + 0.3 * torch.relu(conv(self.A, h))
        return self.last(self.A, h)[nodes]


def cured():
    net = Residual()
    return net, torch.optim.Adam(net.parameters(), lr=0.005, weight_decay=5e-4), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.85 -- as it is: 0.25, 0.2583, 0.2583"
    "; cured: 1, 1, 1; longest run 2.0 s on one core"
)
