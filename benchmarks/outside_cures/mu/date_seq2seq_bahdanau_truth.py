import torch

import date_seq2seq_bahdanau as user

STEPS = 350
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "weight decay 0.1, meant for AdamW, in torch.optim.Adam: there it is added to the gradient and"
    " scaled up with it, far larger than the loss's own gradient for most weights, which fall to zero"
)
SRC, PREV, TGT = user.build(400, seed=77)


@torch.no_grad()
def metric(model):
    return (model(SRC, PREV).argmax(-1) == TGT).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.AdamW(net.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.01), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 350 steps, goal 0.85 -- as it is: 0.4538, 0.3825, 0.4482"
    "; cured: 1.0, 1.0, 0.9998; longest run 6.4 s on one core"
)
