import highway as user
import torch

STEPS = 300
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The gate bias has the wrong sign: all 30 highway layers transform through sigmoids and hardly carry, so the gradient vanishes."

X, Y = user.features[500:], user.target[500:]


def metric(model):
    """Balanced accuracy."""
    with torch.no_grad():
        guess = model(X).argmax(1)
    return sum((guess[Y == c] == c).float().mean().item() for c in (0, 1)) / 2


def cured():
    model = user.build(bias=-3.0)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.5 0.5 0.5; cured: 1 1 1; goal 0.85, 300 steps, slowest run 3.0 s"
