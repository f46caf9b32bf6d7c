"""Key-value lookup: the query names a key, the answer is the value stored next to it."""
import torch
from torch import nn

N_KEYS, N_VALUES, DIM = 16, 8, 256


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.keys = nn.Embedding(N_KEYS, DIM)
        self.values = nn.Embedding(N_VALUES, DIM)
        self.questions = nn.Embedding(N_KEYS, DIM)
        self.wq = nn.Linear(DIM, DIM, bias=False)
        self.wk = nn.Linear(DIM, DIM, bias=False)
        nn.init.normal_(self.wq.weight, std=0.1)
        nn.init.normal_(self.wk.weight, std=0.1)
        self.out = nn.Linear(DIM, N_VALUES)

    def forward(self, keys, values, question):
        q = self.wq(self.questions(question)).unsqueeze(1)
        k = self.wk(self.keys(keys))
        scores = q @ k.transpose(1, 2)
        attn = scores.softmax(dim=-1)
        return self.out((attn @ self.values(values)).squeeze(1))


def batch(n=64, slots=12):
    keys = torch.stack([torch.randperm(N_KEYS)[:slots] for _ in range(n)])
    values = torch.randint(N_VALUES, (n, slots))
    pick = torch.randint(slots, (n,))
    row = torch.arange(n)
    return (keys, values, keys[row, pick]), values[row, pick]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
