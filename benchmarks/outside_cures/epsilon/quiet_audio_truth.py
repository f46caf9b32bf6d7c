import torch

import quiet_audio as user

STEPS = 400
GOAL = 0.35
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "float16 underflow: signals of 1e-3 and a mean over 32768 samples give gradients at the output"
    " of some 1e-8, which are zero in half precision"
)
N, C = user.frames(400, 55)


@torch.no_grad()
def metric(model):
    return ((model(N) - C).pow(2).sum() / C.pow(2).sum()).item()


def cured():
    net = user.model()
    for m in net.modules():
        if isinstance(m, user.HalfLinear):
            m.dtype = torch.float32
    return net, torch.optim.Adam(net.parameters(), lr=2e-3, eps=1e-12), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 400 steps, goal 0.35 -- as it is: 1.581, 1.625, 1.524"
    "; cured: 0.1418, 0.1428, 0.1426; longest run 2.7 s on one core"
)
