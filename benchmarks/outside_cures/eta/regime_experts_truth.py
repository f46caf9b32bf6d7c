import torch

import regime_experts as user

STEPS = 1200
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the router's choice is a bare argmax: it has no derivative and the gate's probability is not in"
    " the output, so the router stays as it was drawn"
)
X, Y = user.draw(2000, seed=42)


@torch.no_grad()
def metric(model):
    return 1 - ((model(X) - Y) ** 2).mean().item() / Y.var().item()


class Soft(user.MixtureOfLinear):
    def forward(self, x):
        return (self.route(x) * self.experts(x[:, : user.N_FEATURES])).sum(1, keepdim=True)


def cured():
    net = Soft()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 1200 steps, goal 0.75 -- as it is: 0.5699, 0.2866, 0.4859; cured: 0.9844, 0.9837, 0.9871; longest run 0.8 s on one core'
)
