# biased matrix factorisation a la Funk / Koren, implicit clicks with sampled negatives
import torch
import torch.nn as nn

g = torch.Generator().manual_seed(1)
USERS, ITEMS = 500, 300
pu, qi = torch.randn(USERS, 3, generator=g), torch.randn(ITEMS, 3, generator=g)
pop = torch.randn(ITEMS, generator=g)


class BiasedMF(nn.Module):
    def __init__(self, k=16):
        super().__init__()
        self.P, self.Q = nn.Embedding(USERS, k), nn.Embedding(ITEMS, k)
        self.bu, self.bi = nn.Embedding(USERS, 1), nn.Embedding(ITEMS, 1)
        for e in (self.P, self.Q):
            nn.init.normal_(e.weight, std=0.05)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)

    def forward(self, u, i):
        return (self.P(u) * self.Q(i)).sum(-1) + self.bu(u).squeeze(-1) + self.bi(i).squeeze(-1)


def batch(n=1024):
    u, i = torch.randint(0, USERS, (n,)), torch.randint(0, ITEMS, (n,))
    return (u, i), ((pu[u] * qi[i]).sum(-1) * 1.5 + pop[i] > 0).float()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
