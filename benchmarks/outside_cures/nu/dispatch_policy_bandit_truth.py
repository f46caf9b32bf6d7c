import torch
from torch import nn

import dispatch_policy_bandit as user

STEPS = 700
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "an orthogonal gain of 5 in every layer (5/3 was meant): tanh starts saturated and the policy"
    " certain of one arbitrary depot, where the softmax is flat and the clamp of the probability"
    " cuts what gradient there is"
)
CTX, _, _ = user.log_of_decisions(3000, seed=4)
REWARD = user.expected_reward(CTX)


@torch.no_grad()
def metric(model):
    """Expected reward of the policy's choice, 0 for chance and 1 for the best depot."""
    got = REWARD.gather(1, model(CTX).argmax(1, keepdim=True)).mean()
    return ((got - REWARD.mean()) / (REWARD.max(1).values.mean() - REWARD.mean())).item()


def cured():
    net = user.model()
    for i, gain in ((0, 1.0), (2, 1.0), (4, 0.01)):
        nn.init.orthogonal_(net.actor[i].weight, gain)
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 700 steps, goal 0.55 -- as it is: 0.4165, 0.3911, 0.377"
    "; cured: 0.9252, 0.9256, 0.9222; longest run 0.7 s on one core"
)
