import torch
from torch import nn

import page_stamp_boxes as user

STEPS = 300
GOAL = 0.4
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the head ends in a sigmoid, the boxes are in pixels (9 to 47): every output runs to 1 and"
    " saturates there, and no gradient comes back"
)
X, Y = user.make_pages(256, seed=12)


def corners(b):
    return torch.cat([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1)


@torch.no_grad()
def metric(model):
    """Mean IoU."""
    was = model.training
    model.eval()
    p, t = corners(model(X)), corners(Y)
    model.train(was)
    lo, hi = torch.maximum(p[:, :2], t[:, :2]), torch.minimum(p[:, 2:], t[:, 2:])
    inter = (hi - lo).clamp(min=0).prod(1)
    area = lambda b: (b[:, 2:] - b[:, :2]).clamp(min=0).prod(1)
    return (inter / (area(p) + area(t) - inter + 1e-6)).mean().item()


class Pixels(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, page):
        return self.net(page) * user.cfg.size


def cured():
    net = Pixels(user.model())
    return net, torch.optim.Adam(net.parameters(), lr=user.cfg.lr), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.4 -- as it is: 0.0, 0.0, 0.0"
    "; cured: 0.7809, 0.7836, 0.7709; longest run 2.5 s on one core"
)
