import importlib

import torch

user = importlib.import_module("chess_colours")

STEPS = 800
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Adam's weight decay of 0.05 is added to the gradient and outweighs the loss's: the weights"
    " shrink to zero before anything is learnt"
)
X, Y = user.board(1000, seed=3)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X).argmax(1) == Y).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-5), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.75 -- as it is: 0.541, 0.541, 0.541; cured: 0.958, 0'
    '.95, 0.948; longest run 0.5 s on one core'
)
