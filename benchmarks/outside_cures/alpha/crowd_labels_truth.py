import importlib

import torch

user = importlib.import_module("crowd_labels")

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "the loss stays high because a third of the labels is wrong; the network learns all the same"


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(user.imgs[user.final_idx]).argmax(1) == user.gold[user.final_idx]
    model.train()
    return hit.float().mean().item()


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 0.9327, 0.9259, 0.9293; longest run '
    '0.6 s on one core'
)
