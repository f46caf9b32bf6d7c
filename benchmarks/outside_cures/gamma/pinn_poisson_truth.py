import math

import torch
import torch.nn.functional as F

import pinn_poisson as user

STEPS = 600
GOAL = 0.15
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "ReLU is piecewise linear, so the second derivative in the residual is zero everywhere and "
    "only the boundary terms train; a smooth activation (tanh) is needed."
)


def metric(model):
    """Root mean squared error of u against the exact solution, at points kept away."""
    x = torch.linspace(0.0031, 0.9969, 173)[:, None]
    exact = torch.sin(math.pi * x) + 0.5 * torch.sin(2 * math.pi * x)
    with torch.no_grad():
        return ((model.u(x) - exact) ** 2).mean().sqrt().item()


class Smooth(user.PINN):
    def u(self, x):
        for lin in self.hidden:
            x = F.tanh(lin(x))
        return self.out(x)


def cured():
    model = Smooth()
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "600 steps, seeds 0 1 2: as it is 0.789, 0.7909, 0.7894; cured 0.002385, 0.008945, "
    "0.006095; goal 0.15; slowest run 4.6 s on one core"
)
