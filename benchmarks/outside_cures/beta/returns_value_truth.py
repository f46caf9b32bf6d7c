import returns_value as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Returns of thousands under MSE and SGD 0.02: the first steps explode to NaN or kill every ReLU."

S, R = user.rollouts(600, 12)


def metric(model):
    with torch.no_grad():
        v = model(S)
        return (1 - ((v - R) ** 2).mean() / R.var()).item()


class Scaled(user.ValueNet):
    def forward(self, s):
        return 1000 * super().forward(s)


def scaled_loss(value, target):
    return nn.functional.mse_loss(value / 1000, target / 1000)


def cured():
    model = Scaled()
    return model, user.optimizer(model), scaled_loss

EVIDENCE = "as written, seeds 0 1 2: nan nan nan; cured: 0.998 0.998 0.998; goal 0.75, 500 steps, slowest run 0.2 s"
