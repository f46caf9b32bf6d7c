"""Attention by distance: weights = softmax(-|q - k|^2). Nearest-value look-up over a set of 32 tokens."""
import torch
from torch import nn


class DistanceAttention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        for lin in (self.q, self.k):
            nn.init.orthogonal_(lin.weight)

    def forward(self, query, tokens):
        d2 = (self.q(query)[:, None] - self.k(tokens)).pow(2).sum(-1)
        weight = torch.softmax(-d2, dim=1)
        return (weight[..., None] * self.v(tokens)).sum(1)


class SetLookup(nn.Module):
    def __init__(self, dim=128):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(9, dim), nn.LayerNorm(dim))
        self.ask = nn.Sequential(nn.Linear(8, dim), nn.LayerNorm(dim))
        self.attend = DistanceAttention(dim)
        self.head = nn.Linear(dim, 1)

    def forward(self, question, items):
        return self.head(self.attend(self.ask(question), self.embed(items))).squeeze(1)


def batch(n=64, m=32):
    kind = torch.randint(0, 8, (n, m))
    value = torch.randn(n, m)
    items = torch.cat([nn.functional.one_hot(kind, 8).float(), value[..., None]], -1)
    want = kind[:, 0]
    hit = (kind == want[:, None]).float()
    return (nn.functional.one_hot(want, 8).float(), items), (value * hit).sum(1) / hit.sum(1)


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = SetLookup()
    opt = optimizer(m)
    for i in range(300):
        (q, s), y = batch()
        l = loss(m(q, s), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
