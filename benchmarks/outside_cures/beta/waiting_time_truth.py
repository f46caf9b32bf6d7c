import waiting_time as user
import torch
from torch import nn

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "A LayerNorm over a single output gives a constant: no gradient reaches anything before it."

S, W = user.queues(600, 68)


def metric(model):
    with torch.no_grad():
        return (1 - (model(S) - W).pow(2).mean() / W.var()).item()


def cured():
    model = user.model()
    model.out = nn.Linear(48, 1)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.0014 0.00121 0.00139; cured: 0.996 0.994 0.995; goal 0.75, 400 steps, slowest run 0.7 s"
