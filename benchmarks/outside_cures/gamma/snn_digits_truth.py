import torch
from torch import nn

import snn_digits as user

STEPS = 300
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The weights are so small that no neuron ever reaches its threshold, and the surrogate "
    "derivative is so steep that it is near 0 away from it: silent neurons without a gradient. "
    "Larger initial weights let them fire (and Adam trains them)."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(user.pixels[1500:]).argmax(1) == user.target[1500:]).float().mean().item()


def cured():
    model = user.SNN()
    nn.init.normal_(model.l1.fc.weight, std=0.25)
    nn.init.normal_(model.l2.fc.weight, std=0.25)
    return model, torch.optim.Adam(model.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "300 steps, seeds 0 1 2: as it is 0.101, 0.1044, 0.101; cured 0.9057, 0.9024, 0.8956; "
    "goal 0.75; slowest run 5.3 s on one core"
)
