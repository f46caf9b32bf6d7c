import torch
from torch import nn

import power_grid_nodes as user

STEPS = 200
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "sums over neighbourhoods of some twenty to eighty nodes, four layers deep and without any"
    " normalisation: the signal grows by orders of magnitude, the first step throws the network"
    " off (dead or not finite)"
)
TEST = torch.arange(300, user.N)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(user.x, user.adj, TEST)
    model.train(was)
    return (out.argmax(1) == user.y[TEST]).float().mean().item()


class MeanLayer(user.GINLayer):
    def forward(self, h, adj):
        return self.mlp((1 + self.eps) * h + adj @ h / adj.sum(1, keepdim=True).clamp(min=1))


def cured():
    net = user.model()
    for layer in net.layers:
        layer.__class__ = MeanLayer
        layer.mlp = nn.Sequential(layer.mlp[0], nn.BatchNorm1d(32), nn.ReLU(), layer.mlp[2])
    return net, torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 200 steps, goal 0.6 -- as it is: 0.275, 0.275, 0.275"
    "; cured: 0.915, 0.95, 0.885; longest run 0.7 s on one core"
)
