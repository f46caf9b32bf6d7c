import torch

import glyph_codebook as user

STEPS = 800
GOAL = 0.55
HIGHER_IS_BETTER = False
SICK = False
CAUSE = (
    "healthy: argmin and detach look like broken gradients, but the straight-through step carries them to"
    " the encoder and the codebook has a loss of its own; some codes are never used, which is usual"
)
X = user.glyphs_test


@torch.no_grad()
def metric(model):
    """error of the reconstruction as a share of that of the mean glyph"""
    model.eval()
    out = model(X)[0]
    return (((out - X) ** 2).sum() / ((user.glyphs_train.mean(0) - X) ** 2).sum()).item()


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.55 -- as it is: 0.2915, 0.2895, 0.2922"
    "; longest run 0.9 s on one core"
)
