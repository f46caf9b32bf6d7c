import torch
from torch.nn import functional as F

import digits_vae_hw4 as user

STEPS = 900
GOAL = 0.3
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the reconstruction is a mean over batch and pixels, the KL term a sum over batch and latents: the KL"
    " outweighs it by a factor of 6400, the posterior collapses onto the prior and the decoder draws the mean"
)
X = user.test_x


@torch.no_grad()
def metric(model):
    """Share of the pixels' variance that the reconstruction explains."""
    mu, _ = model.encode(X)
    rest = (model.decode(mu) - X).square().sum()
    return (1 - rest / (X - user.train_x.mean(0)).square().sum()).item()


def fixed(output, x):
    recon, mu, logvar = output
    bce = F.binary_cross_entropy(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kld) / len(x)


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), fixed


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.3 -- as it is: -0.0299, -0.0271, -0.0368"
    "; cured: 0.5791, 0.5786, 0.5694; longest run 1.0 s on one core"
)
