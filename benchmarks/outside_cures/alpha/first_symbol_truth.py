import importlib

import torch
from torch import nn

user = importlib.import_module("first_symbol")

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "a tanh RNN with default recurrent weights has to carry the first of 70 tokens to the end: the"
    " gradient through time vanishes"
)
TOKENS, KIND = user.sessions(600, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        hit = model(TOKENS).argmax(1) == KIND
    model.train()
    return hit.float().mean().item()


class Recurrent(nn.Module):
    """An LSTM whose forget gate starts open, in the place of the plain RNN."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(16, user.HIDDEN, batch_first=True)
        h = user.HIDDEN
        with torch.no_grad():
            for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                bias.zero_()
            self.lstm.bias_ih_l0[h : 2 * h] = 5.0
            self.lstm.bias_ih_l0[:h] = -1.0

    def forward(self, x):
        states, (last, _) = self.lstm(x)
        return states, last


def cured():
    net = user.model()
    net.rnn = Recurrent()
    return net, torch.optim.Adam(net.parameters(), lr=1e-2), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.8 -- as it is: 0.1267, 0.1233, 0.15; cured: 1, 1, 1;'
    ' longest run 2.7 s on one core'
)
