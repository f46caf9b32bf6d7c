"""Can one attention layer learn to look up a value by its key?

Every sample has 12 (key, value) pairs and a query; the answer is the value that stands beside the
key which equals the query.
"""
import torch
import torch.nn as nn

N_KEYS, N_VALUES, N_PAIRS, DIM = 20, 6, 12, 128


def samples(n, seed):
    g = torch.Generator().manual_seed(seed)
    keys = torch.stack([torch.randperm(N_KEYS, generator=g)[:N_PAIRS] for _ in range(n)])
    values = torch.randint(0, N_VALUES, (n, N_PAIRS), generator=g)
    pick = torch.randint(0, N_PAIRS, (n, 1), generator=g)
    return keys, values, keys.gather(1, pick).squeeze(1), values.gather(1, pick).squeeze(1)


KEYS, VALUES, QUERY, ANSWER = samples(4000, seed=21)


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.key_emb = nn.Embedding(N_KEYS, DIM)
        self.value_emb = nn.Embedding(N_VALUES, DIM)
        self.q = nn.Linear(DIM, DIM)
        self.k = nn.Linear(DIM, DIM)
        self.v = nn.Linear(DIM, DIM)
        self.out = nn.Linear(DIM, N_VALUES)
        for proj in (self.q, self.k, self.v):
            nn.init.normal_(proj.weight, std=1.0)

    def forward(self, keys, values, query):
        k = self.k(self.key_emb(keys))
        v = self.v(self.value_emb(values))
        q = self.q(self.key_emb(query)).unsqueeze(1)
        att = torch.softmax(q @ k.transpose(1, 2), dim=-1)
        return self.out((att @ v).squeeze(1))


def model():
    return Lookup()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(ANSWER), generator=g).split(80):
        yield (KEYS[i], VALUES[i], QUERY[i]), ANSWER[i]


def loss(logits, answer):
    return nn.functional.cross_entropy(logits, answer)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


_k, _v, _q, _a = samples(400, seed=22)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(_k, _v, _q).argmax(-1) == _a).float().mean().item()
    model.train()
    return acc
