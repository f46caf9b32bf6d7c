import torch

import digit_rows_transformer as user

STEPS = 300
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "Adam at 0.01 without warm-up on six post-norm transformer layers: the first steps throw the attention into"
    " saturation, all samples get the same output, and the loss stays at ln 10"
)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(user.Xte).argmax(1) == user.yte).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.Adam(net.parameters(), lr=5e-4), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.6 -- as it is: 0.07, 0.07, 0.0756"
    "; cured: 0.9104, 0.944, 0.9468; longest run 5.9 s on one core"
)
