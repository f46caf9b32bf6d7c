import adding_irnn as user
import torch
from torch import nn

STEPS = 800
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "A ReLU recurrence with spectral radius about 2.5: state and gradient explode over 40 steps (start from the identity instead)."

X, Y = user.make(500, 71)


def metric(model):
    with torch.no_grad():
        return max((1 - (model(X) - Y).pow(2).mean() / Y.var()).item(), -1e6)


def cured():
    model = user.model()
    with torch.no_grad():
        nn.init.eye_(model.w_rec)
        model.w_in.mul_(0.1)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: -1e+06 -1e+06 -1e+06; cured: 0.973 0.963 0.983; goal 0.6, 800 steps, slowest run 3.9 s"
