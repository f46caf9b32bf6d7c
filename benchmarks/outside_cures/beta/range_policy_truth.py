import range_policy as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Small positive weights with biases of -0.5: almost every ReLU is dead for all samples from the start."

R, A = user.scan(800, 18)


def metric(model):
    with torch.no_grad():
        return (model(R).argmax(1) == A).float().mean().item()


def cured():
    model = user.model()
    for m in (model.a, model.b, model.c):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.386 0.386 0.386; cured: 0.956 0.956 0.954; goal 0.8, 500 steps, slowest run 0.3 s"
