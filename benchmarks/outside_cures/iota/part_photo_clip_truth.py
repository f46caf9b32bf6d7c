import torch
import torch.nn.functional as F

import part_photo_clip as user

STEPS = 400
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "cosines multiplied by the temperature 0.07 instead of divided by it: all logits within +-0.07,"
    " the softmax over 64 pairs stays flat and its gradient is two hundred times too small"
)
ROWS, PHOTOS = user.catalogue(512, 4)


@torch.no_grad()
def metric(model):
    """Top-1 retrieval of the photo, among 64."""
    was = model.training
    model.eval()
    hits = [
        (model(r, p).argmax(1) == torch.arange(len(r))).float().mean()
        for r, p in zip(ROWS.split(64), PHOTOS.split(64))
    ]
    model.train(was)
    return torch.stack(hits).mean().item()


def cured():
    net = user.model()

    def loss(similarity, match):
        logits = similarity / user.TEMPERATURE
        return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2

    return net, user.optimizer(net), loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.55 -- as it is: 0.0371, 0.0332, 0.0273"
    "; cured: 0.959, 0.957, 0.9609; longest run 2.1 s on one core"
)
