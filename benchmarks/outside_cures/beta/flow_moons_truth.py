import flow_moons as user
import torch
from torch import nn

STEPS = 500
GOAL = 1.5
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "Unbounded exp scales from a large initialisation, eight couplings deep: the density explodes at the first step."

X = user.moons(800, 61)


def metric(model):
    with torch.no_grad():
        nll = -model(X).mean().item()
    return nll if nll == nll and abs(nll) < 1e6 else 1e6


def cured():
    model = user.model()
    for step in model.steps:
        for m in step.net:
            if isinstance(m, nn.Linear):
                m.reset_parameters()
        nn.init.zeros_(step.net[-1].weight)
        nn.init.zeros_(step.net[-1].bias)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 1e+06 1e+06 1e+06; cured: 0.965 0.663 0.721; goal 1.5, 500 steps, slowest run 3.4 s"
