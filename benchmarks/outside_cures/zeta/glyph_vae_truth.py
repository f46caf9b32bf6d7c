import torch
import torch.nn.functional as F

import glyph_vae as user

STEPS = 800
GOAL = 0.35
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the reconstruction is averaged over the 64 pixels while the KL is summed over the latents: the"
    " KL weighs 64 times too much, the posterior collapses to the prior and the decoder gives one"
    " mean glyph; sum both"
)


@torch.no_grad()
def metric(model):
    """Share of the held-out glyphs' variance that the reconstruction explains."""
    model.eval()
    x = user.test
    r = torch.sigmoid(model(x)[0])
    model.train()
    return (1 - (r - x).pow(2).mean() / (x - user.train.mean(0)).pow(2).mean()).item()


def loss(output, x):
    logits, mu, logvar = output
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return reconstruction + kl


def cured():
    net = user.model()
    return net, user.optimizer(net), loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.35 -- as it is: -0.001461, -0.0004305, -0.0006418; cured: 0.6107, 0.6111, 0.6169; longest run 1.8 s on one core'
)
