import torch
from torch import nn
from torch.nn import functional as F

import digit_latents as user

STEPS = 900
GOAL = 0.6
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the reconstruction error is averaged over the 64 pixels and the KL summed over the latents: the KL"
    " drowns the other term, the posterior collapses to the prior within a few steps, and the decoder"
    " paints the mean digit whatever it is given"
)
X = user.test_set


@torch.no_grad()
def metric(model):
    """error of the reconstruction as a share of that of the mean digit"""
    model.eval()
    out = model(X)[0]
    return (((out - X) ** 2).sum() / ((user.train_set.mean(0) - X) ** 2).sum()).item()


def elbo(output, x):
    recon, mu, logvar = output
    # Gaussian likelihood with a deviation of 0.2
    reconstruction = ((recon - x) ** 2).sum(1).mean() / (2 * 0.2**2)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return reconstruction + kl


def cured():
    net = user.model()
    return net, user.optimizer(net), elbo


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.6 -- as it is: 1.0212, 1.0177, 1.0239"
    "; cured: 0.1812, 0.1821, 0.2059; longest run 0.9 s on one core"
)
