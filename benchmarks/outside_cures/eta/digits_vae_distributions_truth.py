import torch
from torch.distributions import Normal, kl_divergence

import digits_vae_distributions as user

STEPS = 800
GOAL = 0.3
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Normal.sample() cuts the graph where rsample() is meant: the encoder is trained by the KL term"
    " alone, forgets its input, and the decoder learns the mean image"
)
X = user.x_test


@torch.no_grad()
def metric(model):
    """share of the test images' variance that the reconstruction from the posterior explains"""
    was = model.training
    model.eval()
    rec = torch.sigmoid(model(X)[0])
    model.train(was)
    return 1 - ((rec - X) ** 2).sum().item() / ((X - X.mean(0)) ** 2).sum().item()


class VAE(user.VAE):
    def forward(self, x):
        q = self.posterior(x)
        z = q.rsample() if self.training else q.mean
        kl = kl_divergence(q, Normal(torch.zeros_like(q.loc), torch.ones_like(q.scale))).sum(-1)
        return self.decoder(z), kl


def cured():
    net = VAE()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.3 -- as it is: -0.002729, -0.002794, -0.00213; cured: 0.6106, 0.6218, 0.6129; longest run 1.8 s on one core'
)
