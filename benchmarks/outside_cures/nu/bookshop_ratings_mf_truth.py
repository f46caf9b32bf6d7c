import torch

import bookshop_ratings_mf as user

STEPS = 900
GOAL = 0.8
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "a step size made for one update per rating is used on means over 256: a row of an embedding"
    " moves hundreds of times too little; and both factors start at 0.01, so that each waits for"
    " the other (a saddle of the product)"
)
U, B, R = user.HELD_OUT


@torch.no_grad()
def metric(model):
    return ((model(U, B) - R) ** 2).mean().sqrt().item()


def cured():
    net = user.model()
    for e in (net.user, net.book):
        torch.nn.init.normal_(e.weight, 0, 0.1)
    torch.nn.init.constant_(net.mean, user.STARS.mean().item())
    return net, torch.optim.Adam(net.parameters(), lr=0.01), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.8 -- as it is: 1.268, 1.2681, 1.2677"
    "; cured: 0.3112, 0.3071, 0.3036; longest run 0.5 s on one core"
)
