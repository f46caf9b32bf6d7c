import importlib

import torch

user = importlib.import_module("same_digit_metric")

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the distance of a sample to itself is sqrt(0), whose derivative is infinite: 0 times inf makes"
    " NaN of all weights at the first step"
)


def metric(model):
    model.eval()
    with torch.no_grad():
        near = torch.cdist(model(user.X[user.test]), model(user.X[user.train])).argmin(1)
    model.train()
    return (user.Y[user.train][near] == user.Y[user.test]).float().mean().item()


def loss(e, y):
    diff = e.unsqueeze(0) - e.unsqueeze(1)
    d = torch.sqrt((diff**2).sum(-1) + 1e-8)
    same = (y.unsqueeze(0) == y.unsqueeze(1)).float()
    return (same * d**2 + (1 - same) * torch.clamp(user.MARGIN - d, min=0) ** 2).mean()


def cured():
    net = user.model()
    return net, user.optimizer(net), loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 0.09256, 0.09256, 0.09256; cured: 0.'
    '9457, 0.9396, 0.9477; longest run 0.2 s on one core'
)
