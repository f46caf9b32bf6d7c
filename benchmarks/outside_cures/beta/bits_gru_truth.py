import bits_gru as user
import torch
from torch import nn

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Every weight starts at the same constant: the hidden units are copies of one another and stay so."

X, Y = user.make(600, 88)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    model = user.model()
    for name, p in model.named_parameters():
        if "weight" in name:
            nn.init.xavier_uniform_(p)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.47 0.527 0.523; cured: 0.903 0.953 0.988; goal 0.8, 400 steps, slowest run 0.8 s"
