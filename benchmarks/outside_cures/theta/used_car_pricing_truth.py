import torch
from torch import nn

import used_car_pricing as user

STEPS = 300
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "prices in euros, some 15,000 with a spread of 10,000, come out of a plain linear layer: Adam at 1e-3"
    " moves a weight by a thousandth a step and cannot get there; standardise the target, or scale the output"
)
held = user.CarDataset(2000, seed=99)
train = user.data.dataset


@torch.no_grad()
def metric(model):
    "R2 of the price, unseen listings"
    p = model(held.cat, held.num)
    return (1 - (p - held.price).pow(2).mean() / held.price.var(unbiased=False)).item()


class Euros(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        self.register_buffer("mean", train.price.mean())
        self.register_buffer("std", train.price.std())

    def forward(self, h):
        return self.linear(h) * self.std + self.mean


def cured():
    net = user.model()
    net.out = Euros(net.out)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.6 -- as it is: -0.843, -0.9602, -1.097; cured: 0.9857, 0.9851, 0.9836; longest run 0.6 s on one core'
)
