import torch
import torch.nn as nn
import torch.nn.functional as F

N_KEYS, N_VALUES, PAIRS = 16, 8, 8


class LookupTransformer(nn.Module):
    """reads key-value pairs, then a query key; answers with the value"""

    def __init__(self, d_model=128):
        super().__init__()
        self.d_model = d_model
        self.key_emb = nn.Embedding(N_KEYS, d_model)
        self.val_emb = nn.Embedding(N_VALUES, d_model)
        self.q = nn.Linear(d_model, d_model)
        self.k = nn.Linear(d_model, d_model)
        self.v = nn.Linear(d_model, d_model)
        self.o = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, N_VALUES)

    def forward(self, keys, values, query):
        scale = self.d_model ** 0.5
        mem = (self.key_emb(keys) + self.val_emb(values)) * scale
        q = self.q(self.key_emb(query) * scale).unsqueeze(1)
        scores = torch.bmm(q, self.k(mem).transpose(1, 2))
        attn = F.softmax(scores, dim=-1)
        h = self.o(torch.bmm(attn, self.v(mem)).squeeze(1)) / scale
        return self.out(h)


def batch(n=128):
    keys = torch.stack([torch.randperm(N_KEYS)[:PAIRS] for _ in range(n)])
    values = torch.randint(0, N_VALUES, (n, PAIRS))
    pick = torch.randint(0, PAIRS, (n, 1))
    return (keys, values, keys.gather(1, pick).squeeze(1)), values.gather(1, pick).squeeze(1)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
