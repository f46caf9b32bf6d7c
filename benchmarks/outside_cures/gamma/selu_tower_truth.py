import torch

import selu_tower as user

STEPS = 300
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: 24 layers without skips or norms, but SELU with LeCun's initialisation carries the gradient."


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(user.x[1500:]).argmax(1) == user.y[1500:]).float().mean().item()


EVIDENCE = (
    "300 steps, seeds 0 1 2: as it is 0.8519, 0.8855, 0.8418; goal 0.7; slowest run 5.1 s "
    "on one core"
)
