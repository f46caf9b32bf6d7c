import torch

import kv_lookup as user

STEPS = 600
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "queries and keys from N(0, 1) weights and no 1/sqrt(d): scores of some 250, the softmax is one"
    " at a random slot and passes no gradient to w_q and w_k"
)
E_, T_ = user.episodes(800, 31)


@torch.no_grad()
def metric(model):
    return (model(*E_).argmax(-1) == T_).float().mean().item()


def cured():
    net = user.model()
    d = net.w_q.shape[1]
    with torch.no_grad():
        # fan-in scale, and 1/sqrt(d) folded into the two matrices
        net.w_q.mul_(user.DIM**-0.5 * d**-0.25)
        net.w_k.mul_(user.DIM**-0.5 * d**-0.25)
    return net, torch.optim.Adam(net.parameters(), lr=1e-2), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.85 -- as it is: 0.2475, 0.135, 0.2113"
    "; cured: 0.99, 0.9837, 0.9962; longest run 1.1 s on one core"
)
