import torch
from torch import nn

import qat_digits as user

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "torch.round has a zero derivative, so no weight ever gets a gradient and only the biases "
    "train; a straight-through estimator is missing."
)


def metric(model):
    start = user.N_TRAIN + user.N_VAL
    model.eval()
    with torch.no_grad():
        return (model(user.X[start:]).argmax(1) == user.Y[start:]).float().mean().item()


class StraightThrough(user.QLinear):
    def quantise(self, w):
        return w + (super().quantise(w) - w).detach()


def cured():
    model = nn.Sequential(
        StraightThrough(64, 48), nn.ReLU(),
        StraightThrough(48, 32), nn.ReLU(),
        StraightThrough(32, 10),
    )
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.1182, 0.2421, 0.1095; cured 0.9481, 0.9539, "
    "0.9597; goal 0.85; slowest run 2.2 s on one core"
)
