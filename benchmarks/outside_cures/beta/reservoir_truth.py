import reservoir as user
import torch

STEPS = 500
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: the recurrence is detached and frozen on purpose, an echo state network trains its read-out only."

X, F = user.make(500, 29)


def metric(model):
    with torch.no_grad():
        return (1 - (model(X) - F).pow(2).mean() / F.var()).item()

EVIDENCE = "as written, seeds 0 1 2: 0.996 0.997 0.989; goal 0.7, 500 steps, slowest run 1.1 s"
