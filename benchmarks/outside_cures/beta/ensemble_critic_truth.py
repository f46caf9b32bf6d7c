import ensemble_critic as user
import torch

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: large targets, but the output is scaled; the frozen, detached prior is meant to be so."

S, V = user.transitions(600, 72)


def metric(model):
    with torch.no_grad():
        return (1 - (model(S) - V).pow(2).mean() / V.var()).item()

EVIDENCE = "as written, seeds 0 1 2: 0.994 0.994 0.992; goal 0.8, 400 steps, slowest run 0.3 s"
