import chrono_lstm as user
import torch

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: input gates start nearly closed and forget gates open (chrono initialisation); a slow start, then it learns."

X, Y = user.make(300, 93)


def metric(model):
    with torch.no_grad():
        return (1 - (model(X) - Y).pow(2).mean() / Y.var()).item()

EVIDENCE = "as written, seeds 0 1 2: 1 1 1; goal 0.75, 400 steps, slowest run 1.2 s"
