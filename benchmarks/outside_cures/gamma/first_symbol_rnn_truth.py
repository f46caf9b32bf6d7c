import torch
import torch.nn as nn

import first_symbol_rnn as user

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The recurrent matrix comes from Linear's default (gain about 0.58): over 70 steps of tanh "
    "the gradient vanishes through time; an orthogonal recurrent matrix carries it."
)


def metric(model):
    x, y = user.make(500, seed=77)
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def cured():
    model = user.Remember()
    nn.init.orthogonal_(model.cell.h2h.weight)
    nn.init.zeros_(model.cell.h2h.bias)
    nn.init.zeros_(model.cell.i2h.bias)
    return model, torch.optim.Adam(model.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.256, 0.25, 0.258; cured 1, 0.998, 1; goal 0.75; "
    "slowest run 3.0 s on one core"
)
