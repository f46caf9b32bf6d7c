import torch
from torch import nn

import box_finder as user

STEPS = 400
GOAL = 0.45
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the head ends in a sigmoid (0..1) but the boxes are in pixels (up to 32): the output saturates"
    " at 1 and the gradient dies; multiply by the frame size or leave the sigmoid out"
)


@torch.no_grad()
def metric(model):
    """Mean IoU."""
    model.eval()
    p, t = model(user.test_frames), user.test_boxes
    model.train()
    half = lambda b: (b[:, :2] - b[:, 2:].clamp(min=0) / 2, b[:, :2] + b[:, 2:].clamp(min=0) / 2)
    (pa, pb), (ta, tb) = half(p), half(t)
    inter = (torch.minimum(pb, tb) - torch.maximum(pa, ta)).clamp(min=0).prod(1)
    union = (pb - pa).prod(1) + (tb - ta).prod(1) - inter
    return (inter / union).mean().item()


class Scaled(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, img):
        return user.SIZE * self.net(img)


def cured():
    net = Scaled(user.model())
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.45 -- as it is: 9.693e-06, 9.693e-06, 9.693e-06; cured: 0.7963, 0.8424, 0.8196; longest run 4.1 s on one core'
)
