import recall_rnn as user
import torch
from torch import nn

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Gradients vanish through 70 steps of a plain tanh recurrence with small default recurrent weights."

XT, YT = user.make(600, 77)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(XT).argmax(1) == YT).float().mean().item()


def cured():
    model = user.model()
    nn.init.orthogonal_(model.rnn.weight_hh_l0)
    nn.init.zeros_(model.rnn.bias_hh_l0)
    nn.init.zeros_(model.rnn.bias_ih_l0)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.507 0.5 0.535; cured: 1 1 1; goal 0.8, 400 steps, slowest run 1.9 s"
