import skipgram_pairs as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Both tables are zero: the gradient of an inner product at zero is zero for both, only the bias moves."

P, Y = user.take(1600, 1900)


def metric(model):
    with torch.no_grad():
        return ((model(P) > 0).float() == Y).float().mean().item()


def cured():
    model = user.model()
    nn.init.normal_(model.word.weight, std=0.3)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.5 0.5 0.5; cured: 0.985 0.992 0.997; goal 0.8, 500 steps, slowest run 0.2 s"
