import torch

import noisy_annotators as user

STEPS = 400
GOAL = 0.66
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: a quarter of the labels are flipped, so the best accuracy is 0.75 and the loss stays high."


def metric(model):
    x, y = user.sample(3000, 2)
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.7023, 0.7103, 0.7053; goal 0.66; slowest run 1.4 "
    "s on one core"
)
