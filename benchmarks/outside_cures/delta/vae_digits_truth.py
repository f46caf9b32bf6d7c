import torch
from torch.nn import functional as F

import vae_digits as user

STEPS = 600
GOAL = 0.04
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "posterior collapse by loss scale: the reconstruction is a mean over batch and pixels, the KL term a sum over batch"
    " and latents, thousands of times heavier; it drowns the reconstruction's gradient and the latent code dies"
)


def metric(model):
    return user.reconstruction(model, user.x_test)


def elbo(output, x):
    recon, mu, logvar = output
    rec = F.mse_loss(recon, x, reduction="sum") / len(x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    return rec + 0.1 * kld


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), elbo


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.04 -- as it is: 0.08435, 0.08499, 0.08375; cured: 0.01859, 0.02031, 0.0187; longest run 1.2 s on one core'
)
