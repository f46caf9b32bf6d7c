import torch

import arcface_embedder as user

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "healthy: a first loss of some thirty is what scale 64 and the margin make of a fresh ArcFace head"
X, WHO = user.crop(600, seed=2)


@torch.no_grad()
def metric(model):
    model.eval()
    right = (model.cosines(X).argmax(1) == WHO).float().mean().item()
    model.train()
    return right


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.75 -- as it is: 0.965, 0.965, 0.965"
    "; longest run 0.5 s on one core"
)
