"""Key-value memory: look the answer up by soft attention over 20 random facts."""

import torch
from torch import nn


class KVMemNN(nn.Module):
    def __init__(self, keys=40, values=8, d=32):
        super().__init__()
        self.A = nn.Embedding(keys, d)
        self.B = nn.Embedding(keys, d)
        self.C = nn.Embedding(values, d)
        self.out = nn.Linear(d, values)

    def forward(self, k, v, q):
        score = torch.bmm(self.A(k), self.B(q).unsqueeze(2)).squeeze(2)
        p = torch.softmax(score / 4, dim=1)
        read = torch.bmm(p.unsqueeze(1), self.C(v)).squeeze(1)
        return self.out(read)


def model():
    return KVMemNN()


def batch(n=64, facts=20):
    k = torch.stack([torch.randperm(40)[:facts] for _ in range(n)])
    v = torch.randint(8, (n, facts))
    pick = torch.randint(facts, (n, 1))
    return (k, v, k.gather(1, pick).squeeze(1)), v.gather(1, pick).squeeze(1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
