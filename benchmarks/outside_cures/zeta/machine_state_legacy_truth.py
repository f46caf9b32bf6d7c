import torch

import machine_state_legacy as user

STEPS = 600
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the hidden state is repackaged (detached) at every step inside the sequence: no gradient goes"
    " back in time, and what stands early is never learned; detach between sequences only"
)


@torch.no_grad()
def metric(model):
    return (model(user.test_seq).argmax(1) == user.test_prog).float().mean().item()


class Whole(user.EventRNN):
    def repackage_hidden(self, h):
        return h


def cured():
    net = Whole()
    return net, user.optimizer(net), user.criterion


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.75 -- as it is: 0.196, 0.15, 0.14; cured: 1, 1, 1; longest run 5.3 s on one core'
)
