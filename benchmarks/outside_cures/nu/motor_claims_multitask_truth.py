import torch
from torch import nn

import motor_claims_multitask as user

STEPS = 900
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "payouts in euros make a squared error of 1e7 beside a cross entropy of 0.7, and the clipping to"
    " norm 1 leaves the fraud head a ten-thousandth of its gradient and the payout a crawl"
)
X, M, Y = user.claims(1500, seed=11)


def rank(v):
    return v.argsort().argsort().float()


@torch.no_grad()
def metric(model):
    """The mean of twice the fraud AUC less one, and of the payout's rank correlation."""
    out = model(X, M)
    pos = Y[:, 0] > 0.5
    d = out[pos, 0][:, None] - out[~pos, 0][None, :]
    auc = ((d > 0).float() + 0.5 * (d == 0).float()).mean()
    rho = torch.corrcoef(torch.stack([rank(out[:, 1]), rank(Y[:, 1])]))[0, 1]
    return ((2 * auc - 1 + rho) / 2).item()


MEAN, SD = user.y_tr[:, 1].mean(), user.y_tr[:, 1].std()


def loss(out, y):
    fraud = nn.functional.binary_cross_entropy_with_logits(out[:, 0], y[:, 0])
    return fraud + nn.functional.mse_loss(out[:, 1], (y[:, 1] - MEAN) / SD)


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), loss


EVIDENCE = (
    "seeds 0, 1, 2, 900 steps, goal 0.75 -- as it is: 0.4684, 0.4671, 0.4651"
    "; cured: 0.8898, 0.8933, 0.8991; longest run 1.7 s on one core"
)
