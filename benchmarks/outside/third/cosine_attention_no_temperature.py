# Cosine attention ("no need for sqrt(d) since everything is normalised"): all weights are 0.0104 = 1/96
import torch
import torch.nn.functional as F
from torch import nn

SLOTS, KINDS = 96, 8


class Retriever(nn.Module):
    """Given key-value slots and a query key, return the value stored there."""

    def __init__(self, d=24):
        super().__init__()
        self.q = nn.Linear(d, d)
        self.k = nn.Linear(d, d)
        self.v = nn.Embedding(KINDS, d)
        self.out = nn.Linear(d, KINDS)

    def forward(self, query, keys, values):
        q = F.normalize(self.q(query), dim=-1)[:, None]
        k = F.normalize(self.k(keys), dim=-1)
        att = q @ k.transpose(1, 2)
        att = torch.softmax(att, dim=-1)
        return self.out((att @ self.v(values)).squeeze(1))


criterion = nn.CrossEntropyLoss()


def batch(n=48):
    keys = torch.randn(n, SLOTS, 24)
    values = torch.randint(0, KINDS, (n, SLOTS))
    pick = torch.randint(0, SLOTS, (n,))
    r = torch.arange(n)
    return (keys[r, pick] + 0.1 * torch.randn(n, 24), keys, values), values[r, pick]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    model = Retriever()
    opt = optimizer(model)
    for step in range(600):
        x, t = batch()
        l = criterion(model(*x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
