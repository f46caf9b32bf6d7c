import torch

import direct_mail_response as user

STEPS = 500
GOAL = 0.66
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: 91 % of the answers are no and most of the rest is chance; the loss hardly falls and"
    " the accuracy never beats the constant answer, yet the ranking is nearly as good as it can be"
)
X, Y = user.campaign(8000, seed=92)


@torch.no_grad()
def metric(model):
    """ROC AUC; the true scores reach about 0.72."""
    was = model.training
    model.eval()
    s = model(**X)
    model.train(was)
    pos, neg = s[Y > 0.5], s[Y < 0.5]
    d = pos[:, None] - neg[None, :]
    return ((d > 0).float() + 0.5 * (d == 0).float()).mean().item()


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.66 -- as it is: 0.7109, 0.7091, 0.7111"
    "; longest run 0.9 s on one core"
)
