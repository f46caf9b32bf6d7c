import torch
from torch import nn
import torch.nn.functional as F

import kv_memory_reader as user

STEPS = 700
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "cosine attention without a temperature: scores live in [-1, 1], so over 24 memory cells the softmax"
    " stays near uniform, whatever is learnt; the right cell cannot be singled out and the gradient to"
    " queries and keys is an average over all cells"
)
S, V, Q, A = user.make_dialogues(2000, seed=77)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(S, V, Q).argmax(1) == A).float().mean().item()


class Tempered(user.CosineAttention):
    def __init__(self, dim, heads=4):
        super().__init__(dim, heads)
        self.log_scale = nn.Parameter(torch.full((heads, 1, 1), 10.0).log())

    def forward(self, query, memory_keys, memory_values):
        q = F.normalize(self.split(self.to_q(query)), dim=-1)
        k = F.normalize(self.split(self.to_k(memory_keys)), dim=-1)
        v = self.split(self.to_v(memory_values))
        att = (self.log_scale.exp() * (q @ k.transpose(-1, -2))).softmax(dim=-1)
        return self.out((att @ v).transpose(1, 2).flatten(2))


def cured():
    net = user.model()
    net.read = Tempered(64)
    return net, user.optimizer(net), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 700 steps, goal 0.75 -- as it is: 0.4955, 0.487, 0.4985"
    "; cured: 1.0, 1.0, 1.0; longest run 5.5 s on one core"
)
