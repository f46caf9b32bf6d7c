import torch
from torch import nn

import batch_event_order_gru as user

STEPS = 500
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the hidden state is detached at every tick: no gradient goes through time, and the cell cannot learn to"
    " keep what it saw ten or twenty ticks ago"
)
X, Y = user.make_batches(1500, seed=31)


@torch.no_grad()
def metric(model):
    "accuracy on unseen traces"
    return ((model(X) > 0).float() == Y).float().mean().item()


class EventOrder(user.EventOrder):
    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.readout(h).squeeze(1)


def cured():
    net = EventOrder()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal 0.85 -- as it is: 0.528, 0.528, 0.5547; cured: 1, 1, 1; longest run 4.0 s on one core'
)
