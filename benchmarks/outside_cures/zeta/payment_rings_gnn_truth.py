import torch

import payment_rings_gnn as user

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "neighbours are summed without dividing by the degree: six rounds multiply by about 12 each, 10^6 at the output"


@torch.no_grad()
def metric(model):
    return (model(user.x_te, user.a_te).argmax(1) == user.y_te).float().mean().item()


class Normalised(user.MessagePassing):
    def neighbours(self, adj):
        a = adj + torch.eye(user.N)
        d = a.sum(2) ** -0.5
        return d[:, :, None] * a * d[:, None, :]


def cured():
    net = user.model()
    for r in net.rounds:
        r.__class__ = Normalised
    return net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.49, 0.49, 0.49; cured: 0.858, 0.862, 0.87; longest run 1.8 s on one core'
)
