import torch
from torch import nn

import realnvp_moons as user

STEPS = 350
GOAL = 2.4
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "Eight couplings with an unbounded exp(s) and weights of twice Xavier's size: the log "
    "likelihood and its gradients explode; s must be bounded and the last layers start near 0."
)


def metric(model):
    model.eval()
    with torch.no_grad():
        return -model(user.points[2400:]).mean().item()


def cured():
    model = user.RealNVP()
    for layer in model.layers:
        for net in (layer.s_net, layer.t_net):
            for lin in net:
                if isinstance(lin, nn.Linear):
                    lin.reset_parameters()
            nn.init.zeros_(net[-1].weight)
            nn.init.zeros_(net[-1].bias)
        layer.s_net.append(nn.Tanh())
    return model, torch.optim.Adam(model.parameters(), lr=5e-3), user.loss


EVIDENCE = (
    "350 steps, seeds 0 1 2: as it is nan, nan, nan; cured 1.728, 1.565, 1.689; goal 2.4; "
    "slowest run 5.4 s on one core"
)
