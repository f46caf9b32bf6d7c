import torch
from torch import nn

import flat_prices_tabres as user

STEPS = 400
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the shortcut of every block is averaged with the branch, so that it passes only a half: over 20"
    " blocks signal and gradient shrink by about 2^-20; sum them (with a scaled branch) instead"
)
X, Y = user.HOLDOUT


@torch.no_grad()
def metric(model):
    """R2 on rows kept away."""
    model.eval()
    r2 = 1 - (model(X) - Y).pow(2).mean() / Y.var(unbiased=False)
    model.train()
    return r2.item()


class Block(user.TwoPathBlock):
    def blend(self, x, h):
        return x + h * user.CFG.n_blocks**-0.5


def cured():
    net = user.model()
    net.trunk = nn.Sequential(*(Block(user.CFG.width) for _ in range(user.CFG.n_blocks)))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.6 -- as it is: -0.000439, -0.0009786, -0.001077; cured: 0.9793, 0.9719, 0.9735; longest run 5.1 s on one core'
)
