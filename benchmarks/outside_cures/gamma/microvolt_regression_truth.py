import torch

import microvolt_regression as user

STEPS = 400
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: loss and gradients are around 1e-12, but Adam with an eps of 1e-20 does not care."


def metric(model):
    model.eval()
    with torch.no_grad():
        y = user.targets[2000:].double()
        r = model(user.inputs[2000:]).double() - y
    return 1 - (r.pow(2).sum() / (y - y.mean()).pow(2).sum()).item()


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.9847, 0.9827, 0.985; goal 0.8; slowest run 3.6 s "
    "on one core"
)
