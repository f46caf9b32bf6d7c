import torch
from torch import nn

import churn_tanh as user

STEPS = 500
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "bad initialisation: weights drawn from N(0, 1) at width 128 put every tanh of the six-layer stack"
    " into saturation; the hidden map is chaotic and its gradients are noise"
)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(user.X[3500:]).argmax(-1) == user.y[3500:]).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    for m in net.modules():
        if isinstance(m, nn.Linear):
            nn.init.xavier_normal_(m.weight)
            nn.init.zeros_(m.bias)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.85 -- as it is: 0.592, 0.586, 0.6; cured: 0.916, 0.938, 0.916; longest run 1.8 s on one core'
)
