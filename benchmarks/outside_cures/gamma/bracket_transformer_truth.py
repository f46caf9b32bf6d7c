import torch

import bracket_transformer as user

STEPS = 220
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "A learning rate of 5e-3 without warm-up is too large for six post-norm transformer blocks: "
    "the first steps ruin them. A usual rate trains them; norms moved to the start of each branch "
    "help, but not at this rate."
)


def metric(model):
    x, y = user.corpus(600, seed=4242)
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def cured():
    model = user.Encoder()
    return model, torch.optim.Adam(model.parameters(), lr=7e-4), user.loss


EVIDENCE = (
    "220 steps, seeds 0 1 2: as it is 0.5, 0.5, 0.5; cured 1, 1, 1; goal 0.75; slowest "
    "run 5.3 s of processor time"
)
