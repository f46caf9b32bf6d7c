import torch
from torch import nn

import vq_digits as user

STEPS = 800
GOAL = 0.45
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "no straight-through estimator: the argmin cuts the reconstruction's gradient off from the encoder,"
    " which learns from the commitment term alone and collapses to few codes"
)


@torch.no_grad()
def metric(model):
    px = user.test_px
    rec = model(px)[0]
    return ((rec - px).pow(2).mean() / (px - user.train_px.mean(0)).pow(2).mean()).item()


class StraightThrough(user.VQAutoencoder):
    def forward(self, x):
        z_e = self.encoder(x).view(-1, self.parts, self.dim)
        z_q = self.codebook(z_e)
        z = z_e + (z_q - z_e).detach()
        return self.decoder(z.flatten(1)), z_e, z_q


def cured():
    net = StraightThrough()
    nn.init.normal_(net.codebook.codes, std=0.3)
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.45 -- as it is: 1.004, 1.002, 1.002"
    "; cured: 0.2032, 0.2048, 0.2196; longest run 1.8 s on one core"
)
