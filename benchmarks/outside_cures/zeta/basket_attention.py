"""Which article will be bought in the end?  (shop sessions, small self-attention recommender)

A session is a list of 12 events (article, action); actions: view, search, wishlist.
The attention block is written by hand because we want to look at the maps later.
"""
import torch
from torch import nn
import torch.nn.functional as F

N_ART, N_ACT, L = 40, 3, 12
VIEW, SEARCH, WISH = 0, 1, 2


def sessions(n, seed):
    partner = torch.randperm(N_ART, generator=torch.Generator().manual_seed(0))
    g = torch.Generator().manual_seed(seed)
    art = torch.randint(0, N_ART, (n, L), generator=g)
    act = torch.randint(0, 2, (n, L), generator=g)
    at = torch.randint(0, L, (n,), generator=g)
    act[torch.arange(n), at] = WISH
    return (art, act), partner[art[torch.arange(n), at]]


class SelfAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.d = d
        self.q = nn.Linear(d, d)
        self.k = nn.Linear(d, d)
        self.v = nn.Linear(d, d)
        self.scale = d ** 0.5

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(-1, -2) * self.scale
        return F.softmax(scores, dim=-1) @ self.v(x)


class Layer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.att = SelfAttention(d)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.ff(self.n2(x))


class BasketNet(nn.Module):
    def __init__(self, d=64, layers=2):
        super().__init__()
        self.art = nn.Embedding(N_ART, d)
        self.act = nn.Embedding(N_ACT, d)
        self.ask = nn.Parameter(torch.randn(1, 1, d))
        self.layers = nn.Sequential(*[Layer(d) for _ in range(layers)])
        self.norm = nn.LayerNorm(d)
        self.out = nn.Linear(d, N_ART)

    def forward(self, art, act):
        x = self.art(art) + self.act(act)
        x = torch.cat([self.ask.expand(len(x), 1, -1), x], dim=1)
        return self.out(self.norm(self.layers(x)[:, 0]))


(art, act), bought = sessions(4000, 1)


def model():
    return BasketNet()


def data():
    for i in torch.randperm(len(bought)).split(64):
        yield (art[i], act[i]), bought[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
