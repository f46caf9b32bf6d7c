import torch
from sklearn.metrics import roc_auc_score

import coupon_wide_deep as user

STEPS = 400
GOAL = 0.66
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: the labels are mostly noise, the loss hardly falls and accuracy never leaves that of"
    " the constant answer; yet the ranking comes near that of the oracle. Most rows of the embeddings"
    " see no sample in a batch"
)
EVENTS, Y = user.sim.draw(8000, seed=2)


@torch.no_grad()
def metric(model):
    """AUC on later events."""
    return roc_auc_score(Y.numpy(), model(**EVENTS).numpy())


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.66 -- as it is: 0.7114, 0.7105, 0.7117; longest run 0.6 s on one core'
)
