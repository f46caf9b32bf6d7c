import torch

import newsline_bag_of_words as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: log_softmax before CrossEntropyLoss changes nothing (it is its own inverse there), and a rate of 4"
    " is what a mean of nine embeddings needs"
)
X, Y = user.headlines(1000, seed=66)


@torch.no_grad()
def metric(model):
    "accuracy on unseen headlines"
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 1, 1, 1; longest run 0.2 s on one core'
)
