import ecg_tcn as user
import torch
from torch import nn

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Eight plain convolutions initialised with std 0.01: signal and gradient lose more than a decade per layer."

X, Y = user.make(600, 50)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    model = user.model()
    for m in model.modules():
        if isinstance(m, nn.Conv1d):
            nn.init.kaiming_normal_(m.weight)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.525 0.475 0.525; cured: 1 1 1; goal 0.85, 400 steps, slowest run 2.4 s"
