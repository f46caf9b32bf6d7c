import torch

import allconv_ported as user

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Adadelta with the learning rate 0.001 (the Keras default): it multiplies steps that are already"
    " in the units of the weights, the network hardly moves; the method wants 1.0"
)


@torch.no_grad()
def metric(model):
    model.eval()
    acc = (model(user.x_test).argmax(1) == user.y_test).float().mean().item()
    model.train()
    return acc


def cured():
    net = user.model()
    return net, torch.optim.Adadelta(net.parameters(), lr=1.0), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.75 -- as it is: 0.09778, 0.06444, 0.1067; cured: 0.9822, 0.9844, 0.9711; longest run 1.8 s on one core'
)
