import torch

import flow_spirals as user

STEPS = 450
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "40 Euler steps of length 1 with one shared ReLU field of He scale: the state grows by a factor a"
    " step and signal and gradient explode"
)
X, C = user.spirals(800, 17)


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == C).float().mean().item()


def cured():
    net = user.model()
    net.step_size = 1.0 / net.n_steps
    return net, torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 450 steps, goal 0.9 -- as it is: 0.3137, 0.3137, 0.3137"
    "; cured: 1, 1, 1; longest run 3.6 s on one core"
)
