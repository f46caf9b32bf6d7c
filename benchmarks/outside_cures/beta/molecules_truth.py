import molecules as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The graph layers stand in a plain Python list, so that the optimiser never gets their parameters."

X, A, Y = user.make_graphs(500, 91)


def metric(model):
    """R squared."""
    model.eval()
    with torch.no_grad():
        return (1 - ((model(X, A) - Y) ** 2).mean() / Y.var(unbiased=False)).item()


def cured():
    model = user.model()
    model.convs = nn.ModuleList(model.convs)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.425 0.319 0.261; cured: 0.987 0.989 0.99; goal 0.75, 500 steps, slowest run 0.3 s"
