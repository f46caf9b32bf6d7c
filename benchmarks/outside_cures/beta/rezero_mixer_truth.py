import rezero_mixer as user
import torch

STEPS = 300
GOAL = 0.82
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: the blocks get no gradient at the first step as their gates are zero (ReZero), which is the design."

X, Y = user.make(800, 26)


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()

EVIDENCE = "as written, seeds 0 1 2: 0.971 0.988 0.991; goal 0.82, 300 steps, slowest run 7.3 s"
