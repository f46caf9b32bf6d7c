import torch

import pinn_cooling as user

STEPS = 800
GOAL = 0.1
HIGHER_IS_BETTER = False
SICK = True
CAUSE = (
    "the derivative in the residual is taken without create_graph=True: its part of the gradient is"
    " cut off and the equation is never learnt"
)


def metric(model):
    t = torch.rand(300, 1, generator=torch.Generator().manual_seed(4)) * user.t_end
    with torch.no_grad():
        return (model.u(t) - user.exact(t)).abs().max().item()


class Connected(user.PINN):
    def forward(self, t):
        with torch.enable_grad():
            t = t.clone().requires_grad_(True)
            u = self.u(t)
            du_dt = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
            residual = du_dt + user.k * (u - torch.sin(t))
            u0 = self.u(torch.zeros(1, 1))
        return {"residual": residual, "start": u0}


def cured():
    net = Connected()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 800 steps, goal 0.1 -- as it is: 0.4374, 0.4579, 0.4574"
    "; cured: 0.07289, 0.05957, 0.056; longest run 1.5 s on one core"
)
