import torch
import torch.nn as nn

import bf16_forecaster as user

STEPS = 800
GOAL = 0.48
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "The weights are kept in bfloat16 and the steps (Adam at 3e-5) are below half a unit in the "
    "last place of most of them, so they are rounded away; float32 weights are needed (a larger "
    "learning rate gets round it as well)."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        out = model(user.x_all[2460:])
    return nn.functional.l1_loss(out.float(), user.y_all[2460:].float()).item()


class Float32(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = user.Forecaster().float()

    def forward(self, x):
        return self.inner(x.float())


def loss32(output, target):
    return nn.functional.mse_loss(output, target.float())


def cured():
    model = Float32()
    return model, user.optimizer(model), loss32


EVIDENCE = (
    "800 steps, seeds 0 1 2: as it is 0.7511, 0.6739, 0.7142; cured 0.3356, 0.2964, "
    "0.2972; goal 0.48; slowest run 5.1 s on one core"
)
