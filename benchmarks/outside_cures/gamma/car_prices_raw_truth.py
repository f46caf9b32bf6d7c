import torch

import car_prices_raw as user

STEPS = 400
GOAL = 90_000.0
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "Healthy: raw features and a loss of 1e10, but the batch norm at the entrance and the fixed "
    "affine at the exit take care of the scales, and Adam of the gradients."
)


def metric(model):
    """Mean absolute error in cents; the best constant has about 270,000."""
    model.eval()
    with torch.no_grad():
        return (model(user.FEATURES[2400:]) - user.PRICE[2400:]).abs().mean().item()


EVIDENCE = (
    "400 steps, seeds 0 1 2: as it is 3.085e+04, 3.293e+04, 4.637e+04; goal 90000; "
    "slowest run 3.1 s on one core"
)
