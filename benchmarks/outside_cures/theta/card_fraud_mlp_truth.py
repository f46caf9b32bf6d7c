import torch

import card_fraud_mlp as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: rare positives and a bias at the base rate make the loss small from the start and hardly falling,"
    " and no transaction reaches a probability of a half; the ranking is what it learns, and it does"
)
X, Y = user.transactions(8000, seed=2024)


@torch.no_grad()
def metric(model):
    "area under the ROC curve, unseen transactions"
    model.eval()
    s = model(X).squeeze(1)
    model.train()
    pos, neg = s[Y[:, 0] > 0], s[Y[:, 0] == 0]
    return (pos[:, None] > neg[None]).float().mean().item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.8524, 0.8531, 0.8531; longest run 1.7 s on one core'
)
