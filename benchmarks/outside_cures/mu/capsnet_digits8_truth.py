import torch

import capsnet_digits8 as user

STEPS = 300
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "transformation matrices of std 0.01: the votes are tiny, and squash, quadratic near zero, makes"
    " their lengths and all gradients through them tinier"
)
X, Y = user.images[user.test_idx], user.labels[user.test_idx]


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    with torch.no_grad():
        net.digit.W.normal_(0, 0.4)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.7 -- as it is: 0.0756, 0.0982, 0.1587"
    "; cured: 0.9093, 0.9194, 0.9194; longest run 1.7 s on one core"
)
