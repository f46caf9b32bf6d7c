import importlib

import torch
from torch import nn

user = importlib.import_module("key_lookup")

STEPS = 600
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "projections drawn with standard deviation 1 and scores that nobody divides by sqrt(d): the"
    " softmax of the attention starts one-hot on a random pair and passes no gradient"
)
K, V, Q, A = user.samples(800, seed=23)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(K, V, Q).argmax(-1) == A).float().mean().item()
    model.train()
    return acc


class Scaled(user.Lookup):
    def __init__(self):
        super().__init__()
        for proj in (self.q, self.k, self.v):
            nn.init.xavier_uniform_(proj.weight)

    def forward(self, keys, values, query):
        k = self.k(self.key_emb(keys))
        v = self.v(self.value_emb(values))
        q = self.q(self.key_emb(query)).unsqueeze(1)
        att = torch.softmax(q @ k.transpose(1, 2) / user.DIM**0.5, dim=-1)
        return self.out((att @ v).squeeze(1))


def cured():
    net = Scaled()
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    'seeds 0, 1, 2, 600 steps, goal 0.8 -- as it is: 0.2537, 0.2037, 0.19; cured: 1, 1, 1;'
    ' longest run 2.5 s on one core'
)
