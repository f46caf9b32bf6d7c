import torch
from torch import nn

import housing_multitask as user

STEPS = 500
GOAL = 0.82
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The price is fitted in dollars, so its squared error (1e11) drowns the second task: the "
    "trunk saturates and learns nothing else; the price must be standardised in the loss."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        _, h = model(user.features[2600:])
    return ((h[:, 0] > 0).float() == user.hot[2600:]).float().mean().item()


def scaled_loss(output, target):
    mean, std = user.price[: user.n_train].mean(), user.price[: user.n_train].std()
    p, h = output
    return nn.functional.mse_loss(
        p, (target[0] - mean) / std
    ) + nn.functional.binary_cross_entropy_with_logits(h, target[1])


def cured():
    model = user.MultiTask()
    return model, user.optimizer(model), scaled_loss


EVIDENCE = (
    "500 steps, seeds 0 1 2: as it is 0.5, 0.5, 0.5; cured 0.93, 0.9275, 0.9275; goal "
    "0.82; slowest run 5.1 s on one core"
)
