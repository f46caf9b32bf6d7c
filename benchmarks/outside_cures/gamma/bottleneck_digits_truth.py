import torch
import torch.nn as nn

import bottleneck_digits as user

STEPS = 500
GOAL = 0.78
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "The squeezing layers sit in a plain Python list, so they are not registered and the "
    "optimiser never gets their parameters; nn.ModuleList is needed."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(user.X_test).argmax(1) == user.y_test).float().mean().item()


def cured():
    model = user.BottleneckClassifier()
    model.squeeze = nn.ModuleList(model.squeeze)
    return model, user.optimizer(model), user.loss


EVIDENCE = (
    "500 steps, seeds 0 1 2: as it is 0.2867, 0.29, 0.1667; cured 0.87, 0.9067, 0.9133; "
    "goal 0.78; slowest run 3.1 s on one core"
)
