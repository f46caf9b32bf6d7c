import torch

import layerscale_resnet as user

STEPS = 250
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: branches scaled by 1e-4 and a zero head start slowly on purpose, as in the papers."


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(user.x[user.test]).argmax(1) == user.y[user.test]).float().mean().item()


EVIDENCE = (
    "250 steps, seeds 0 1 2: as it is 0.9654, 0.9654, 0.9654; goal 0.85; slowest run 8.5 "
    "s on one core"
)
