import torch

import reverse_string_encoder as user

STEPS = 280
GOAL = 0.9
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "none: six post-norm layers at 4e-3 without warm-up look like the classic way to a plateau, but at"
    " this size it learns the reversal to the last letter"
)
BATCHES = list(user.make_batches(4, 100, torch.Generator().manual_seed(1234)))


@torch.no_grad()
def metric(model):
    return sum((model(x).argmax(-1) == y).float().mean().item() for x, y in BATCHES) / len(BATCHES)


EVIDENCE = (
    'seeds 0, 1, 2, 280 steps, goal 0.9 -- as it is: 1, 1, 1; longest run 5.8 s on one core'
)
