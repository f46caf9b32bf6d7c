import torch

import audio_codec as user

STEPS = 500
GOAL = 0.15
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "torch.round in the bottleneck has a zero derivative: the encoder never gets a gradient, and its random outputs nearly all round to 0"


def metric(model):
    with torch.no_grad():
        return ((model(user.test) - user.test).pow(2).mean() / user.test.pow(2).mean()).item()


class StraightThrough(user.Codec):
    def quantise(self, z):
        z = z / self.step
        return z + (torch.round(z) - z).detach()


def cured():
    net = StraightThrough(step=0.5)
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.15 -- as it is: 0.7487, 0.7548, 0.6844; cured: 0.01059, 0.0108, 0.01105; longest run 1.9 s on one core'
)
