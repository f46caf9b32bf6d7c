import sum_pool_gnn as user
import torch

STEPS = 300
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: sums over forty nodes, targets of hundreds and a loss of dozens, but the scales fit and it learns."

INPUTS, Y = user.make(200, 29)


def metric(model):
    with torch.no_grad():
        return (1 - (model(*INPUTS) - Y).pow(2).mean() / Y.var()).item()

EVIDENCE = "as written, seeds 0 1 2: 0.944 0.842 0.838; goal 0.75, 300 steps, slowest run 0.6 s"
