import importlib

import torch

user = importlib.import_module("bearing_bf16")

STEPS = 800
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the weights themselves are bfloat16: an update below 1/256 of a weight is rounded away, so"
    " Adam at 5e-5 moves only the smallest weights"
)
X, Y = user.spectra(800, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


class Full(user.FaultNet):
    def forward(self, x):
        return self.net(x)


def cured():
    net = Full().float()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.6 -- as it is: 0.3338, 0.35, 0.4038; cured: 0.845, 0'
    '.865, 0.845; longest run 1.4 s on one core'
)
