import torch
from torch import nn

import sigmoid_autoencoder as user

STEPS = 600
GOAL = 0.055
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "Eight sigmoid layers in a row lose the gradient; the reconstruction stays at the mean "
    "image. ReLU inside (the sigmoid at the output may stay) and Adam train it."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        return ((model(user.X_test) - user.X_test) ** 2).mean().item()


def cured():
    model = user.model()
    for i in range(1, len(model) - 1, 2):
        model[i] = nn.LeakyReLU(0.1)
    return model, torch.optim.Adam(model.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "600 steps, seeds 0 1 2: as it is 0.07464, 0.07464, 0.07468; cured 0.03464, 0.03681, "
    "0.0406; goal 0.055; slowest run 2.9 s on one core"
)
