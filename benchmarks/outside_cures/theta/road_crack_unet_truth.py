import torch

import road_crack_unet as user

STEPS = 250
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "a rate that belongs to Adam, 1e-3, in SGD without momentum: the network hardly moves; a hundred times that,"
    " with momentum, or Adam"
)
X, M = user.patches(200, seed=1)


@torch.no_grad()
def metric(model):
    "intersection over union of the cracks, unseen patches"
    model.eval()
    p = (model(X) > 0).float()
    model.train()
    return ((p * M).sum() / (p + M).clamp(max=1).sum()).item()


def cured():
    net = user.model()
    return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 250 steps, goal 0.6 -- as it is: 0.1379, 0.2017, 0.1682; cured: 0.8348, 0.8641, 0.8429; longest run 3.4 s on one core'
)
