import torch
import torch.nn.functional as F

import digits_vae as user

STEPS = 900
GOAL = 0.052
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the reconstruction is averaged over 64 pixels while the KL is summed over the latents: the KL weighs 64"
    " times too much, and the posterior collapses to the prior"
)


@torch.no_grad()
def metric(model):
    "squared error a pixel, unseen digits, mean of 16 draws of the code"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        recon = torch.stack([model(user.test_x)[0] for _ in range(16)]).mean(0)
    return (recon - user.test_x).pow(2).mean().item()


def loss(output, x):
    recon, mu, logvar = output
    bce = F.binary_cross_entropy(recon, x, reduction="sum") / len(x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return bce + kld


def cured():
    net = user.model()
    return net, user.optimizer(net), loss


EVIDENCE = (
    'seeds 0, 1, 2, 900 steps, goal 0.052 -- as it is: 0.07401, 0.07395, 0.07383; cured: 0.03199, 0.03325, 0.03305; longest run 1.4 s on one core'
)
