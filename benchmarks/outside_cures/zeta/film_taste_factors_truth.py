import torch

import film_taste_factors as user

STEPS = 1000
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the per-rating regulariser 0.02 of the SVD recipe was given to Adam as weight decay: it is far"
    " larger than a row's share of the batch-mean gradient, so the factors are driven to the saddle"
    " at zero and stay there"
)
U, F, Y = user.users[user.cut :], user.films[user.cut :], user.stars[user.cut :]


@torch.no_grad()
def metric(model):
    """R2 on ratings kept away."""
    return (1 - (model(U, F) - Y).pow(2).mean() / Y.var(unbiased=False)).item()


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=1e-5), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 1000 steps, goal 0.6 -- as it is: 0.151, 0.1519, 0.1503; cured: 0.9434, 0.9433, 0.9416; longest run 0.9 s on one core'
)
