import torch

import ticket_routing_textcnn as user

STEPS = 500
GOAL = 0.55
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "weight_decay=0.1 suits AdamW; in Adam it is an L2 term that is added to the gradient and outweighs it, so"
    " that all weights go to zero and every ticket gets the same answer"
)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(user.dev_docs).argmax(1) == user.dev_queue).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.AdamW(net.parameters(), lr=user.LR, weight_decay=user.WEIGHT_DECAY), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.55 -- as it is: 0.202, 0.188, 0.202"
    "; cured: 0.88, 0.876, 0.864; longest run 3.0 s on one core"
)
