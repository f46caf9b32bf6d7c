import siren_image as user
import torch

STEPS = 500
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: sine layers with omega 30 and small weights, as SIREN prescribes."

XY = torch.rand(1000, 2, generator=torch.Generator().manual_seed(33)) * 2 - 1
GREY = user.picture(XY)


def metric(model):
    with torch.no_grad():
        return (1 - (model(XY) - GREY).pow(2).mean() / GREY.var()).item()

EVIDENCE = "as written, seeds 0 1 2: 0.998 0.998 0.999; goal 0.85, 500 steps, slowest run 0.7 s"
