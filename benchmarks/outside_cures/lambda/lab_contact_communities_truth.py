import torch
from torch import nn
import torch.nn.functional as F

import lab_contact_communities as user

STEPS = 300
GOAL = 0.82
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "over-smoothing: twelve rounds of averaging over neighbours without any skip make the people of a graph"
    " alike, and the differences between them, forward and backward, die like the second eigenvalue to the"
    " twelfth power"
)
X, ADJ, Y = user.contact_graphs(300, seed=71)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(X, ADJ).argmax(-1) == Y).float().mean().item()


class Residual(user.ContactGNN):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in self.convs)

    def forward(self, x, adj):
        h = F.relu(self.inp(x))
        for conv, norm in zip(self.convs, self.norms):
            h = h + F.relu(conv(norm(h), adj))
        return self.out(h)


def cured():
    net = Residual()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.82 -- as it is: 0.6081, 0.6031, 0.6165"
    "; cured: 0.9333, 0.9422, 0.9331; longest run 2.0 s on one core"
)
