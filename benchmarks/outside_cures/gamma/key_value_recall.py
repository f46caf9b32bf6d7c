"""Associative recall: six (key, value) pairs and a query key, answer with the query's value."""
import torch
import torch.nn as nn

N_KEYS, N_VALUES, PAIRS, DIM = 12, 8, 6, 64


def episodes(n, seed):
    g = torch.Generator().manual_seed(seed)
    keys = torch.rand(n, N_KEYS, generator=g).argsort(1)[:, :PAIRS]
    values = torch.randint(0, N_VALUES, (n, PAIRS), generator=g)
    pick = torch.randint(0, PAIRS, (n,), generator=g)
    rows = torch.arange(n)
    return keys, values, keys[rows, pick], values[rows, pick]


class Recall(nn.Module):
    def __init__(self, dim=DIM):
        super().__init__()
        self.key_emb = nn.Embedding(N_KEYS, dim)
        self.value_emb = nn.Embedding(N_VALUES, dim)
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, N_VALUES))
        for m in (self.to_q, self.to_k):
            nn.init.normal_(m.weight, std=1.0)

    def forward(self, keys, values, query):
        q = self.to_q(self.key_emb(query)).unsqueeze(1)
        k = self.to_k(self.key_emb(keys))
        scores = (q * k).sum(-1)
        weights = torch.softmax(scores, dim=1)
        read = (weights.unsqueeze(-1) * self.value_emb(values)).sum(1)
        return self.out(read)


keys, values, query, answer = episodes(3000, seed=5)


def data():
    for b in torch.randperm(2500).split(100):
        yield (keys[b], values[b], query[b]), answer[b]


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    v = slice(2500, None)
    model.eval()
    with torch.no_grad():
        return (model(keys[v], values[v], query[v]).argmax(1) == answer[v]).float().mean().item()


GOAL = 0.8
HIGHER_IS_BETTER = True
