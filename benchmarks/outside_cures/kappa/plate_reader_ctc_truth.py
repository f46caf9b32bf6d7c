import torch
from torch import nn

import plate_reader_ctc as user

STEPS = 500
GOAL = 0.5
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "BatchNorm's momentum is 1 - 0.9997: in 500 steps the running statistics hardly leave 0 and 1, while the pixels go"
    " up to 255; the training uses the batch's statistics and goes well, evaluation is at chance"
)


@torch.no_grad()
def metric(model):
    """Share of plates read without a mistake."""
    model.eval()
    words = user.greedy(model(user.VAL_IMG))
    return sum(w == t for w, t in zip(words, user.VAL_LAB.tolist())) / len(words)


def cured():
    net = user.model()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 0.1
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.5 -- as it is: 0.01, 0.0133, 0.0133"
    "; cured: 1.0, 1.0, 1.0; longest run 5.4 s on one core"
)
