import importlib

import torch
from torch import nn

user = importlib.import_module("digit_autoencoder")

STEPS = 700
GOAL = 0.4  # share of the pixels' variance that comes back
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "eight sigmoid layers in a row: at most a quarter of the gradient passes each, the code never"
    " learns and every image is reconstructed as the mean image"
)
TEST = torch.from_numpy(user.imgs[1300:])


def metric(model):
    model.eval()
    with torch.no_grad():
        error = ((model(TEST) - TEST) ** 2).mean()
    model.train()
    return 1 - (error / ((TEST - TEST.mean(0)) ** 2).mean()).item()


def cured():
    net = user.model()
    for part in (net.encoder, net.decoder[:-1]):
        for i, m in enumerate(part):
            if isinstance(m, nn.Sigmoid):
                part[i] = nn.ELU()
    for i in range(len(net.decoder) - 1):
        if isinstance(net.decoder[i], nn.Sigmoid):
            net.decoder[i] = nn.ELU()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 700 steps, goal 0.4 -- as it is: -0.004421, -0.003856, -0.005223; cure'
    'd: 0.6023, 0.4887, 0.5036; longest run 0.4 s on one core'
)
