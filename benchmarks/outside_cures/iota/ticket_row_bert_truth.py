import torch

import ticket_row_bert as user

STEPS = 500
GOAL = 0.78
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "a fine-tuning learning rate (2e-5) for an encoder that is trained from scratch"
I, N, Y = user.tickets(800, 1)


@torch.no_grad()
def metric(model):
    was = model.training
    model.eval()
    out = model(input_ids=I, numbers=N)
    model.train(was)
    return (out.argmax(1) == Y).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.78 -- as it is: 0.6112, 0.54, 0.5525"
    "; cured: 0.9937, 1.0, 0.9975; longest run 5.2 s on one core"
)
