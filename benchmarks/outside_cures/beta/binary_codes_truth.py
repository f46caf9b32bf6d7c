import binary_codes as user
import torch

STEPS = 400
GOAL = 0.82
HIGHER_IS_BETTER = True
SICK = False
CAUSE = "Healthy: the sign function has a straight-through backward, so the encoder is trained."

X, Y = user._x[1400:], user._y[1400:]


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()

EVIDENCE = "as written, seeds 0 1 2: 0.947 0.927 0.937; goal 0.82, 400 steps, slowest run 0.3 s"
