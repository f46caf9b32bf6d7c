import oscillator_pinn as user
import torch
from torch import nn

STEPS = 700
GOAL = 0.2
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "ReLU has no second derivative, so u'' is identically zero and the equation cannot drive the network."

T = torch.rand(300, 1, generator=torch.Generator().manual_seed(99)) * 2


def metric(model):
    with torch.no_grad():
        return (model.u(T) - torch.cos(user.OMEGA * T)).pow(2).mean().sqrt().item()


def cured():
    model = user.model()
    model.net = nn.Sequential(*[nn.Tanh() if isinstance(m, nn.ReLU) else m for m in model.net])
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.92 0.921 0.918; cured: 0.112 0.0725 0.126; goal 0.2, 700 steps, slowest run 2.0 s"
