import torch

import siamese_digits_verify as user

STEPS = 400
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "sqrt at zero: now and then a pair holds the same image twice, its distance is 0, the derivative"
    " of the square root infinite, and 0 * inf makes every weight NaN"
)
_g = torch.Generator().manual_seed(0)
_i = user.test_idx[torch.randint(len(user.test_idx), (4000,), generator=_g)]
_j = user.test_idx[torch.randint(len(user.test_idx), (4000,), generator=_g)]
SAME = user.labels[_i] == user.labels[_j]


@torch.no_grad()
def metric(model):
    """balanced accuracy at distance 1, half the margin; NaN distances count as 'not the same'"""
    close = model(user.images[_i], user.images[_j]) < 1.0
    hit = close[SAME].float().mean().item()
    return (hit + (~close[~SAME]).float().mean().item()) / 2


class Net(user.SiameseNet):
    def forward(self, a, b):
        diff = self.embed(a) - self.embed(b)
        return (diff.pow(2).sum(1) + 1e-8).sqrt()


def cured():
    net = Net()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.88 -- as it is: 0.5, 0.5, 0.5; cured: 0.9424, 0.9379, 0.9263; longest run 2.6 s on one core'
)
