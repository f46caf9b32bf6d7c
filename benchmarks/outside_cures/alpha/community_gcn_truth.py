import importlib

import torch

user = importlib.import_module("community_gcn")

STEPS = 200
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "17 graph convolutions without skips: every one averages over the neighbours, until all nodes"
    " of a graph are alike (oversmoothing)"
)
F, A, M = user.graphs(100, seed=3)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(F, A).argmax(-1) == M).float().mean().item()
    model.train()
    return acc


class Skipping(user.GCN):
    def forward(self, feats, adj):
        h = torch.relu(self.first(feats, adj))
        for layer in self.layers:
            h = h + torch.relu(layer(h, adj)) / len(self.layers)
        return self.last(h)


def cured():
    net = Skipping()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 200 steps, goal 0.7 -- as it is: 0.2837, 0.2945, 0.294; cured: 0.8635,'
    ' 0.8677, 0.8685; longest run 1.1 s on one core'
)
