import torch
from torch import nn

import community_messages as user

STEPS = 400
GOAL = 0.65
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "messages are summed over some twenty neighbours and never normalised: the activations grow by"
    " an order of magnitude in each of four rounds and what is common to all nodes drowns the rest"
)
X, A, Y = user.make_graphs(60, 1)


@torch.no_grad()
def metric(model):
    return (model(X, A).argmax(-1) == Y).float().mean().item()


class Normalised(user.MessagePassing):
    def __init__(self, d_in, d_out):
        super().__init__(d_in, d_out)
        self.norm = nn.LayerNorm(d_out)

    def forward(self, h, adj):
        adj = adj / adj.sum(-1, keepdim=True).clamp(min=1)
        return torch.relu(self.norm(self.w_self(h) + adj @ self.w_msg(h)))


def cured():
    net = user.model()
    net.rounds = nn.ModuleList(
        Normalised(r.w_self.in_features, r.w_self.out_features) for r in net.rounds
    )
    return net, torch.optim.Adam(net.parameters(), lr=5e-3), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 400 steps, goal 0.65 -- as it is: 0.4175, 0.3383, 0.3294; cured: 0.8281, 0.8378, 0.8181; longest run 1.8 s on one core'
)
