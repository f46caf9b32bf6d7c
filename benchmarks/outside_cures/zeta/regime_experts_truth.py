import torch

import regime_experts as user

STEPS = 800
GOAL = 0.72
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the router's argmax has no derivative: the gate gets no gradient at all and keeps its random"
    " partition; weigh the experts by the softmax of the gate"
)
X, Y = user.x_test, user.y_test


@torch.no_grad()
def metric(model):
    """R2 on new samples."""
    return (1 - (model(X) - Y).pow(2).mean() / Y.var(unbiased=False)).item()


class Soft(user.Top1Mixture):
    def route(self, scores, answers):
        return (scores.softmax(1) * answers).sum(1, keepdim=True)


def cured():
    net = Soft()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.72 -- as it is: 0.6684, 0.3953, 0.4407; cured: 0.8817, 0.9325, 0.9276; longest run 0.5 s on one core'
)
