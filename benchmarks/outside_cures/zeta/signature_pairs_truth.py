import torch
from sklearn.metrics import roc_auc_score

import signature_pairs as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "now and then a matching pair is one and the same glyph: its distance is 0, the square root has"
    " an infinite slope there, 0 x inf is NaN, and one such pair turns every weight to NaN; add an"
    " epsilon under the root"
)
(A, B), SAME = user.sample_pairs(user.N_TRAIN, len(user.LABELS), 800, torch.Generator().manual_seed(5))


@torch.no_grad()
def metric(model):
    """AUC of the verification on glyphs kept away; a network that is NaN tells nothing."""
    d = model(A, B)
    return roc_auc_score(SAME.numpy(), -d.numpy()) if d.isfinite().all() else 0.5


class SafeTwin(user.Twin):
    def forward(self, left, right):
        gap = self.embed(left) - self.embed(right)
        return (gap.pow(2).sum(dim=1) + 1e-6).sqrt()


def cured():
    net = SafeTwin()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.5, 0.5, 0.5; cured: 0.9914, 0.9919, 0.9901; longest run 1.5 s on one core'
)
