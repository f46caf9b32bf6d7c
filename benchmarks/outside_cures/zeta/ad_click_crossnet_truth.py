import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import ad_click_crossnet as user

STEPS = 800
GOAL = 0.84
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "raw counters up to thousands enter the cross layers, which multiply them with themselves three"
    " times: outputs and gradients of 10^6 and more; take log1p or a batch normalisation first"
)
(COUNTERS, IDS), CLICKS = user.log_rows(2000, seed=1)


@torch.no_grad()
def metric(model):
    """AUC on later rows."""
    model.eval()
    out = model(COUNTERS, IDS)
    model.train()
    return roc_auc_score(CLICKS.numpy(), out.numpy()) if out.isfinite().all() else 0.5


class Log1p(nn.Module):
    def forward(self, x):
        return x.log1p()


def cured():
    net = user.model()
    net.prepare = nn.Sequential(Log1p(), nn.BatchNorm1d(user.DENSE))
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 800 steps, goal 0.84 -- as it is: 0.7151, 0.7186, 0.6254; cured: 0.9489, 0.9529, 0.949; longest run 1.2 s on one core'
)
