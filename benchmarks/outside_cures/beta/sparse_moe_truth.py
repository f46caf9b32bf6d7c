import sparse_moe as user
import torch

STEPS = 500
GOAL = 0.82
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: the router starts near zero and most experts get no gradient for a sample, but the chosen weights carry it."

X, Y = user.make(1000, 48)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()

EVIDENCE = "as written, seeds 0 1 2: 0.888 0.887 0.883; goal 0.82, 500 steps, slowest run 1.7 s"
