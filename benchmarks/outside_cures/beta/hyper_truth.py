import hyper as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The weight-writing layer is drawn from N(0, 1): the generated net is far too large, saturated, and its steps explode."

INPUTS, Y = user.make(800, 66)


def metric(model):
    with torch.no_grad():
        out = model(*INPUTS)
        return (1 - (out - Y).pow(2).mean() / Y.var()).item()


def cured():
    model = user.model()
    with torch.no_grad():
        nn.init.normal_(model.write.weight, std=0.05)
        nn.init.normal_(model.write.bias, std=0.2)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: nan nan nan; cured: 0.996 0.997 0.996; goal 0.8, 500 steps, slowest run 0.5 s"
