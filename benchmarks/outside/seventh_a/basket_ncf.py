"""Implicit feedback recommender for a web shop (neural collaborative filtering), 1 positive : 3 negatives."""
import torch
import torch.nn as nn

USERS, ITEMS = 200, 100
g = torch.Generator().manual_seed(12)
taste = torch.randint(0, 5, (USERS,), generator=g)
shelf = torch.randint(0, 5, (ITEMS,), generator=g)
by_shelf = [torch.where(shelf == k)[0] for k in range(5)]


class NCF(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.u_gmf, self.i_gmf = nn.Embedding(USERS, d), nn.Embedding(ITEMS, d)
        self.u_mlp, self.i_mlp = nn.Embedding(USERS, d), nn.Embedding(ITEMS, d)
        self.mlp = nn.Sequential(nn.Linear(2 * d, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.out = nn.Linear(d + 16, 1)
        for e in (self.u_gmf, self.i_gmf, self.u_mlp, self.i_mlp):
            nn.init.normal_(e.weight, std=0.01)

    def forward(self, u, i):
        gmf = self.u_gmf(u) * self.i_gmf(i)
        mlp = self.mlp(torch.cat([self.u_mlp(u), self.i_mlp(i)], -1))
        return self.out(torch.cat([gmf, mlp], -1)).squeeze(-1)


def batch(n=128):
    u = torch.randint(0, USERS, (n,))
    pos = torch.stack([by_shelf[int(k)][torch.randint(0, len(by_shelf[int(k)]), ())] for k in taste[u]])
    neg = torch.randint(0, ITEMS, (3 * n,))
    users = torch.cat([u, u.repeat(3)])
    y = torch.cat([torch.ones(n), torch.zeros(3 * n)])
    return (users, torch.cat([pos, neg])), y


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-6)
