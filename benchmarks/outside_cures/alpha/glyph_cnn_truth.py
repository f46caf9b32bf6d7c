import importlib

import torch

user = importlib.import_module("glyph_cnn")

STEPS = 300
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Adam with a learning rate of 0.1: the first steps throw the ReLU units out of reach (dead)"


def metric(model):
    model.eval()
    with torch.no_grad():
        value = (model(user.images[user.te]).argmax(1) == user.target[user.te]).float().mean().item()
    model.train()
    return value


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.8 -- as it is: 0.08754, 0.08418, 0.08418; cured: 0.9'
    '663, 0.9731, 0.9798; longest run 0.7 s on one core'
)
