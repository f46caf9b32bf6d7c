import torch

import dsprite_regressor as user

STEPS = 400
GOAL = 0.12
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "A weight decay of 0.1 inside Adam's gradient outweighs the loss: all weights shrink to 0 "
    "and the output to a constant; decay of 1e-4 or none trains."
)


def metric(model):
    img, centre = user.render(500, 12345)
    model.eval()
    with torch.no_grad():
        return (model(img) - centre).abs().mean().item()


def cured():
    model = user.Locator()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5), user.loss


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 0.3149, 0.3149, 0.3149; cured 0.0208, 0.02098, "
    "0.02512; goal 0.12; slowest run 2.6 s on one core"
)
