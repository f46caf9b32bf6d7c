import math

import torch

STEPS = 500
GOAL = 0.06
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "Healthy: zero last layer and a first loss near fifty (derivatives of sin(pi x)), but it trains."

P = torch.rand(400, 2, generator=torch.Generator().manual_seed(14)) * torch.tensor([1.0, 0.2])


def metric(model):
    """Root mean square error of the temperature."""
    x, t = P.split(1, 1)
    with torch.no_grad():
        truth = torch.exp(-(math.pi**2) * t) * torch.sin(math.pi * x)
        return (model.u(x, t) - truth).pow(2).mean().sqrt().item()

EVIDENCE = "as written, seeds 0 1 2: 0.00109 0.00201 0.00109; goal 0.06, 500 steps, slowest run 1.3 s"
