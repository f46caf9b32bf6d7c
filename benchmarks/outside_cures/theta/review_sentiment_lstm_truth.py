import torch

import review_sentiment_lstm as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "weight_decay=0.1 in Adam, where it is a penalty in the gradient and not AdamW's decay: it outweighs the"
    " loss and pulls every weight to 0"
)
X, Y = user.load(1500, seed=4)


@torch.no_grad()
def metric(model):
    "accuracy on unseen reviews"
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=user.CONFIG["lr"], weight_decay=1e-5), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.508, 0.492, 0.508; cured: 1, 1, 1; longest run 1.5 s on one core'
)
