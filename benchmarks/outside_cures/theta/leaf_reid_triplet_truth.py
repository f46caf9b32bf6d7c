import torch
import torch.nn.functional as F

import leaf_reid_triplet as user

STEPS = 300
GOAL = 0.65
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the root of a squared distance has an infinite slope at 0, and the diagonal of the matrix is 0: the first"
    " backward pass gives NaN everywhere; a small constant belongs under the root"
)


@torch.no_grad()
def metric(model):
    "how often the nearest picture of the gallery shows the same identity"
    model.eval()
    d = torch.cdist(model(user.query), model(user.gallery))
    model.train()
    return (user.gallery_ids[d.argmin(1)] == user.query_ids).float().mean().item()


def loss(e, y, margin=0.5):
    d = ((e.unsqueeze(1) - e.unsqueeze(0)) ** 2).sum(-1).clamp(min=1e-12).sqrt()
    same = y.unsqueeze(0) == y.unsqueeze(1)
    positive = (d * same).max(1).values
    negative = d.masked_fill(same, float("inf")).min(1).values
    return F.relu(positive - negative + margin).mean()


def cured():
    net = user.model()
    return net, user.optimizer(net), loss


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.65 -- as it is: 0.09883, 0.09883, 0.09883; cured: 0.9481, 0.9514, 0.9464; longest run 0.6 s on one core'
)
