import torch
from torch import nn

import tmaze_agent as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "the hidden state is detached at every step (bptt=1): no gradient ever tells the GRU to keep the cue"
O, A = user.rollouts(500, seed=99)


@torch.no_grad()
def metric(model):
    return (model(obs=O).argmax(-1) == A).float().mean().item()


def cured():
    net = user.MemoryAgent(bptt=10_000)
    return net, torch.optim.Adam(net.parameters(), lr=5e-3), nn.functional.cross_entropy


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.8 -- as it is: 0.292, 0.25, 0.264"
    "; cured: 1, 0.996, 0.992; longest run 3.4 s on one core"
)
