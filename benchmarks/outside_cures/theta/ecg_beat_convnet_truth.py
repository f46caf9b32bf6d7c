import torch
from torch import nn

import ecg_beat_convnet as user

STEPS = 400
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the convolution blocks stand in a plain Python list: parameters() does not know them, the optimiser never"
    " moves them, and only the last linear layer is trained on random features"
)
X, Y = user.synth_beats(1500, torch.Generator().manual_seed(7))


@torch.no_grad()
def metric(model):
    "accuracy on unseen beats, judged in the mode of evaluation"
    parts = [model, *getattr(model, "blocks", [])]
    for p in parts:
        p.eval()
    acc = (model(X).argmax(1) == Y).float().mean().item()
    for p in parts:
        p.train()
    return acc


def cured():
    net = user.model()
    net.blocks = nn.ModuleList(net.blocks)
    return net, user.optimizer(net), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.85 -- as it is: 0.486, 0.48, 0.468; cured: 0.9933, 0.9967, 0.9973; longest run 1.3 s on one core'
)
