import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

import churn_and_spend as user

STEPS = 1200
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the squared error of the spend in euros is some 10^5 times the churn loss and fills the clipped"
    " gradient: churn is not learned, and the spend itself hardly; the spend wants standardising"
)
X, Y = user.customers(1500, seed=20240102)
MEAN, STD = user.Y[:, 1].mean(), user.Y[:, 1].std()


@torch.no_grad()
def metric(model):
    """The worse of the two answers: the Gini of churn, the R2 of spend."""
    out = model(X)
    if not out.isfinite().all():
        return 0.0
    gini = 2 * roc_auc_score(Y[:, 0].numpy(), out[:, 0].numpy()) - 1
    r2 = 1 - (out[:, 1] - Y[:, 1]).pow(2).mean() / Y[:, 1].var(unbiased=False)
    return min(gini, r2.item())


class Standard(user.CustomerNet):
    def forward(self, x):
        out = super().forward(x)
        return torch.stack([out[:, 0], MEAN + STD * out[:, 1]], dim=1)


def loss(out, target):
    churn = F.binary_cross_entropy_with_logits(out[:, 0], target[:, 0])
    return churn + F.mse_loss(out[:, 1] / STD, target[:, 1] / STD)


def cured():
    net = Standard()
    return net, user.optimizer(net), loss


EVIDENCE = (
    'seeds 0, 1, 2, 1200 steps, goal 0.5 -- as it is: -0.03837, 0.03171, 0.04228; cured: 0.8665, 0.8558, 0.856; longest run 1.6 s on one core'
)
