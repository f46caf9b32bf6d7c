import torch
from torch import nn

import plaincnn_digits as user

STEPS = 250
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Weights drawn with a standard deviation of 0.01 in twelve plain convolutions: signal and "
    "gradient vanish; Kaiming's initialisation is needed (and a smaller learning rate with it)."
)


def metric(model):
    i = torch.tensor(user.test_idx)
    model.eval()
    with torch.no_grad():
        return (model(user.images[i]).argmax(1) == user.labels[i]).float().mean().item()


def cured():
    model = user.VGGish()
    for m in model.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), user.loss


EVIDENCE = (
    "250 steps, seeds 0 1 2: as it is 0.07778, 0.07778, 0.07222; cured 0.9306, 0.9667, "
    "0.9389; goal 0.8; slowest run 5.1 s on one core"
)
