import torch

import raman_vae as user

STEPS = 800
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "torch.normal(mean, std) draws a sample without a derivative: the encoder hears only the KL"
    " term, collapses to the prior, and the decoder learns the mean spectrum"
)
X = user.prep(user.spectra(400, 6))


@torch.no_grad()
def metric(model):
    """Explained variance of the reconstruction."""
    was = model.training
    model.eval()
    rec = model(X)[0]
    model.train(was)
    return (1 - (rec - X).pow(2).sum() / (X - X.mean(0)).pow(2).sum()).item()


class Reparametrised(user.SpectraVAE):
    def sample(self, mean, logvar):
        if not self.training:
            return mean
        return mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)


def cured():
    net = Reparametrised()
    return net, torch.optim.Adam(net.parameters(), 1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.5 -- as it is: -0.0047, -0.0058, -0.0051"
    "; cured: 0.9827, 0.9833, 0.9816; longest run 1.2 s on one core"
)
