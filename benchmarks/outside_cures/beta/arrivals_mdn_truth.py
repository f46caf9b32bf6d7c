import math

import arrivals_mdn as user
import torch

STEPS = 800
GOAL = 3.4
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "Targets of 30 to 80 against unit Gaussians, exponentiated before the sum: the densities underflow to zero and no gradient is left (logsumexp, scaled outputs)."

X, Y = user.make(600, 21)


def stable(output, target):
    log_mix, mean, log_sigma = output.unbind(-1)
    z = (target - mean) * torch.exp(-log_sigma)
    return -torch.logsumexp(log_mix - 0.5 * z**2 - log_sigma - 0.5 * math.log(2 * math.pi), -1).mean()


def metric(model):
    """Negative log-likelihood per sample, capped as a broken model's is astronomical."""
    with torch.no_grad():
        return min(stable(model(X), Y).item(), 1e4)


class Scaled(user.MDN):
    def forward(self, x):
        log_mix, mean, log_sigma = super().forward(x).unbind(-1)
        return torch.stack([log_mix, 50 + 15 * mean, log_sigma + math.log(15)], -1)


def cured():
    model = Scaled()
    return model, user.optimizer(model), stable

EVIDENCE = "as written, seeds 0 1 2: 1.07e+03 1.06e+03 900; cured: 2.6 2.68 2.56; goal 3.4, 800 steps, slowest run 0.9 s"
