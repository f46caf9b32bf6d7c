import torch
from torch.distributions import Normal, kl_divergence

import vae_digits as user

STEPS = 700
GOAL = 0.055
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "The latent is drawn with sample(), which cuts the graph: the encoder never gets the "
    "reconstruction's gradient and the KL term collapses the posterior; rsample() is needed."
)


def metric(model):
    """Mean squared error of the reconstruction of digits kept away."""
    x = user.images[1550:]
    model.eval()
    with torch.no_grad():
        logits, _ = model(x)
    return ((torch.sigmoid(logits) - x) ** 2).mean().item()


class Reparametrised(user.VAE):
    def forward(self, x):
        q = self.encoder(x)
        z = q.rsample() if self.training else q.mean
        prior = Normal(torch.zeros_like(z), torch.ones_like(z))
        return self.decoder(z), kl_divergence(q, prior).sum(-1)


def cured():
    model = Reparametrised(latent=8)
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "700 steps, seeds 0 1 2: as it is 0.07712, 0.07569, 0.07607; cured 0.03511, 0.03459, "
    "0.0342; goal 0.055; slowest run 4.0 s on one core"
)
