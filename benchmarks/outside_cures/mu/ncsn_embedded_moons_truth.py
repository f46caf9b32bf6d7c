import torch
from torch import nn

import ncsn_embedded_moons as user

STEPS = 1200
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the levels of noise are not weighted by sigma^2 and the score is not divided by sigma: targets of"
    " the smallest level are ten thousand times those of the largest in the loss, and their noise drowns"
    " every other level"
)
_state = torch.random.get_rng_state()
torch.manual_seed(6)
INPUT, TARGET = user.noisy_batch(user.points(4000, seed=1))
torch.random.set_rng_state(_state)


@torch.no_grad()
def metric(model):
    """share of the standard noise that is found, over all levels alike"""
    noise, sigma = TARGET[:, :-1], TARGET[:, -1:]
    eps = noise / sigma
    return (1 - ((sigma * model(*INPUT) + eps) ** 2).mean() / (eps ** 2).mean()).item()


class OverSigma(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, level):
        return self.net(x, level) / user.SIGMAS[level].unsqueeze(-1)


def weighted(score, target):
    noise, sigma = target[:, :-1], target[:, -1:]
    return 0.5 * ((sigma * score + noise / sigma) ** 2).sum(-1).mean()


def cured():
    net = OverSigma(user.model())
    return net, user.optimizer(net), weighted


EVIDENCE = (
    "seeds 0, 1, 2, 1200 steps, goal 0.5 -- as it is: 0.2819, -0.0172, 0.0231"
    "; cured: 0.822, 0.8171, 0.8191; longest run 1.6 s on one core"
)
