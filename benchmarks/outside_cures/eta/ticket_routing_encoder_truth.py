import torch

import ticket_routing_encoder as user

STEPS = 400
GOAL = 0.7
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "a fine-tuning learning rate of 2e-5 for a transformer that is trained from scratch: in some"
    " hundred steps the weights hardly leave their initial values"
)
X, Y = user.tickets(600, torch.Generator().manual_seed(500))


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    hit = (model(X).argmax(1) == Y).float().mean().item()
    model.train(was)
    return hit


def cured():
    net = user.model()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.7 -- as it is: 0.41, 0.34, 0.4683; cured: 0.8383, 0.8483, 0.8317; longest run 6.2 s on one core'
)
