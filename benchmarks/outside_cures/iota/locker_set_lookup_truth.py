import torch

import locker_set_lookup as user

STEPS = 600
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: the attention scores are multiplied by sqrt(d) instead of divided, which looks like a"
    " saturated softmax, but on this look-up, with skips and norms, it trains to the end"
)
B, L, Q, Y = user.make_events(1000, 2)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(B, L, Q)
    model.train(was)
    return (out.argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.9 -- as it is: 0.999, 0.999, 0.998"
    "; longest run 6.0 s on one core"
)
