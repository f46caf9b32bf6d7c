import torch

import digits_simsiam as user

STEPS = 500
GOAL = -0.5
HIGHER_IS_BETTER = False
SICK = False
CAUSE = "nothing: the detached branch is SimSiam's stop-gradient, and the negative loss its cosine"
held = user.images[1400:]


@torch.no_grad()
def metric(model):
    "the loss on unseen digits; 0 would be views that have nothing in common, -1 the same. Collapse counts as 0."
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = model(user.augment(held), user.augment(held))
    spread = torch.nn.functional.normalize(out[2], dim=1).std(0).mean()
    model.train()
    return user.loss(out, None).item() if spread > 0.03 else 0.0


def cured():
    net = user.model()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 500 steps, goal -0.5 -- as it is: -0.735, -0.6704, -0.7765; longest run 1.4 s on one core'
)
