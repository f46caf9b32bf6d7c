import torch
from torch import nn

import bandit_policy as user

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The contexts are raw (income in dollars beside hours), so the first tanh layer is saturated "
    "for every visitor and passes no gradient; the inputs must be standardised."
)


def metric(model):
    context, reward = user.simulate(800, seed=99)
    model.eval()
    with torch.no_grad():
        pick = model(context).argmax(-1)
    return reward.gather(1, pick[:, None]).mean().item()


class Standardise(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("std", x.std(0))

    def forward(self, x):
        return (x - self.mean) / self.std


def cured():
    model = nn.Sequential(Standardise(user.CONTEXT), user.Policy())
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "500 steps, seeds 0 1 2: as it is 0.4978, 0.4978, 0.4978; cured 0.8957, 0.8962, "
    "0.8956; goal 0.75; slowest run 1.2 s on one core"
)
