import torch

import ecg_beat_vqvae as user

STEPS = 600
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "healthy: argmin, no_grad and three detach() are the straight-through estimator of a VQ-VAE;"
    " the code book starts tiny, and it learns"
)
X = user.beats(400, 32)


@torch.no_grad()
def metric(model):
    """Explained variance of the reconstruction."""
    was = model.training
    model.eval()
    rec = model(X)[0]
    model.train(was)
    return (1 - (rec - X).pow(2).sum() / (X - X.mean(0)).pow(2).sum()).item()


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 600 steps, goal 0.75 -- as it is: 0.935, 0.9339, 0.9444"
    "; longest run 3.3 s on one core"
)
