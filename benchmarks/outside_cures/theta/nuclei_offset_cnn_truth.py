import torch
from torch import nn

import nuclei_offset_cnn as user

STEPS = 400
GOAL = 0.11
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the helper for dense layers ends the last one with a ReLU, too: offsets to the left and upwards are"
    " negative and cannot come out; the output has to be linear"
)
X, Y = user.crops(800, seed=77)


@torch.no_grad()
def metric(model):
    "mean absolute error of an offset, in half crop widths"
    model.eval()
    e = (model(X) - Y).abs().mean().item()
    model.train()
    return e


def cured():
    net = user.model()
    net.regressor[2] = nn.Linear(64, 2)
    return net, user.optimizer(net), user.loss_fn


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.11 -- as it is: 0.1979, 0.3938, 0.1964; cured: 0.01967, 0.02195, 0.02114; longest run 1.6 s on one core'
)
