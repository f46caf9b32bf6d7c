import importlib

import torch

user = importlib.import_module("floor_plan_half")

STEPS = 300
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "weights and Adam's state in float16: the square of a gradient and eps 1e-8 are both 0 there,"
    " and the first step divides by zero"
)
NOISY, CLEAN = user.rooms(300, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        right = (model(NOISY) > 0.5) == (CLEAN > 0.5)
        finite = all(p.isfinite().all() for p in model.parameters())
    model.train()
    return right.float().mean().item() if finite else 0.0


class Full(user.Denoiser):
    def forward(self, x):
        return self.body(x.float())


def cured():
    net = Full()
    return net, user.optimizer(net), lambda out, clean: user.loss(out, clean.float())


EVIDENCE = (
    'seeds 0, 1, 2, 300 steps, goal 0.88 -- as it is: 0, 0, 0; cured: 0.9467, 0.9411, 0.94'
    '42; longest run 4.3 s on one core'
)
