# GMF part of NeuMF (keras) -> torch, implicit feedback
import torch
from torch import nn

USERS, ITEMS, DIM = 200, 300, 128
gen = torch.Generator().manual_seed(2)
_u, _i = torch.randn(USERS, 4, generator=gen), torch.randn(ITEMS, 4, generator=gen)
CLICK = torch.bernoulli(torch.sigmoid(2.5 * (_u @ _i.T) - 1.0), generator=gen)


class DotRecommender(nn.Module):
    def __init__(self):
        super().__init__()
        self.user_embedding = nn.Embedding(USERS, DIM)
        self.item_embedding = nn.Embedding(ITEMS, DIM)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)

    def forward(self, pairs):
        u, i = pairs[:, 0], pairs[:, 1]
        dot = (self.user_embedding(u) * self.item_embedding(i)).sum(-1)
        return dot + self.user_bias(u)[:, 0] + self.item_bias(i)[:, 0]


def batch(n=512):
    p = torch.stack([torch.randint(0, USERS, (n,)), torch.randint(0, ITEMS, (n,))], 1)
    return p, CLICK[p[:, 0], p[:, 1]]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
