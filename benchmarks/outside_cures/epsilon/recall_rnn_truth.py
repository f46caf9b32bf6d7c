import torch
from torch import nn

import recall_rnn as user

STEPS = 400
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "plain tanh RNN with PyTorch's default recurrent initialisation over 60 steps: the gradient to"
    " the first symbol vanishes through time"
)
X, Y = user.make(500, 77)


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    # identity recurrence with ReLU (IRNN, Le et al. 2015)
    net.rnn = nn.RNN(16, 64, nonlinearity="relu", batch_first=True)
    nn.init.eye_(net.rnn.weight_hh_l0)
    nn.init.normal_(net.rnn.weight_ih_l0, std=0.05)
    nn.init.zeros_(net.rnn.bias_ih_l0)
    nn.init.zeros_(net.rnn.bias_hh_l0)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.9 -- as it is: 0.144, 0.158, 0.154"
    "; cured: 1, 1, 1; longest run 3.7 s on one core"
)
