import importlib

import torch
from torch import nn

user = importlib.import_module("fabric_textures")

STEPS = 250
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "twelve plain tanh convolutions whose weights were drawn with standard deviation 0.02: signal"
    " and gradient vanish; pixels of 0..255 go in raw besides"
)
IMAGES, LABELS = user.fabrics(500, seed=12)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(IMAGES).argmax(1) == LABELS).float().mean().item()
    model.train()
    return acc


class Normed(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv, self.bn = conv, nn.BatchNorm2d(conv.out_channels)

    def forward(self, x):
        return self.bn(self.conv(x))


def cured():
    net = user.model()
    net.convs = nn.ModuleList(Normed(c) for c in net.convs)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 250 steps, goal 0.75 -- as it is: 0.202, 0.202, 0.202; cured: 1, 1, 0.'
    '998; longest run 2.9 s on one core'
)
