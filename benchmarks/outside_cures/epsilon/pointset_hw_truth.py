import torch

import pointset_hw as user

STEPS = 400
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "the sum over 300 points is in the thousands (points in millimetres) and saturates the first tanh of rho: its gradient is almost zero for every cloud"
X, Y = user.clouds(400, 9)


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    net.rho.insert(0, torch.nn.LayerNorm(32))
    with torch.no_grad():
        net.phi[0].weight.div_(40)  # millimetres to units, folded into the first layer
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.criterion


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.9 -- as it is: 0.2275, 0.2275, 0.3925"
    "; cured: 1, 1, 1; longest run 1.7 s on one core"
)
