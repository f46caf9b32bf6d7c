import torch
from torch import nn

import forum_graph_sage as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "neighbours are summed, some ten of them a layer, and 32 users in the end: the signal grows by decades over"
    " four layers, and the first steps of SGD blow up or kill the network; take means"
)
X, A, Y = user.sample_threads(800, seed=80)


@torch.no_grad()
def metric(model):
    "accuracy on unseen threads"
    return (model(X, A).argmax(1) == Y).float().mean().item()


class Mean(user.ThreadClassifier):
    def forward(self, x, adj):
        adj = adj / adj.sum(-1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            x = layer(x, adj)
        return self.head(x.mean(dim=1))


def cured():
    net = Mean()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.4963, 0.4963, 0.5038; cured: 0.9912, 0.9962, 0.9987; longest run 1.6 s on one core'
)
