import torch

import gearbox_reservoir as user

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = False
CAUSE = (
    "nothing: an echo state network, whose recurrent part is frozen, detached and left out of the"
    " optimiser on purpose; the read-out learns the task"
)
X, Y = user.vibration(500, seed=81)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    right = (model(X).argmax(1) == Y).float().mean().item()
    model.train(was)
    return right


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.75 -- as it is: 1.0, 1.0, 1.0"
    "; longest run 2.0 s on one core"
)
