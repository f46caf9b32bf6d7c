import torch

import press_cycle_lstm as user

STEPS = 300
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the unit forget bias was written into the cell gate's slice (the order is i, f, g, o): the"
    " forget gate stands at one half, and over 85 steps neither the cue nor its gradient survives"
)
X, Y = user.cycles(600, 22)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(X)
    model.train(was)
    return (out.argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    h = net.lstm.hidden_size
    with torch.no_grad():
        net.lstm.bias_ih_l0.zero_()
        net.lstm.bias_ih_l0[h : 2 * h] = 4.0
        net.lstm.bias_ih_l0[:h] = -1.0
    return net, torch.optim.Adam(net.parameters(), lr=2e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 300 steps, goal 0.7 -- as it is: 0.29, 0.2867, 0.28"
    "; cured: 1.0, 1.0, 1.0; longest run 2.0 s on one core"
)
