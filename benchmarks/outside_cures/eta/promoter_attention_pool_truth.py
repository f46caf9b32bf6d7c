import torch

import promoter_attention_pool as user

STEPS = 400
GOAL = 0.78
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "weight_decay=0.1 in Adam is L2 inside the adaptive step, not AdamW's decay: it outweighs the"
    " loss's gradient and all weights shrink to nothing"
)
X, Y = user.windows(1500, torch.Generator().manual_seed(9))


@torch.no_grad()
def metric(model):
    return ((model(X) > 0).float() == Y).float().mean().item()


def cured():
    net = user.model()
    return net, torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.78 -- as it is: 0.4907, 0.4907, 0.4907; cured: 0.9953, 0.99, 0.996; longest run 4.9 s on one core'
)
