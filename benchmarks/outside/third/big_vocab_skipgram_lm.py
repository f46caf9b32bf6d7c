"""Bigram-ish language model with a vocabulary of 8000, Zipf-distributed: most rows get no gradient today."""
import torch
from torch import nn

V = 8000
_zipf = 1 / torch.arange(1, V + 1).float()
_next = torch.randperm(V, generator=torch.Generator().manual_seed(0))


class LM(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.table = nn.Embedding(V, d)
        self.hid = nn.Linear(d, d)
        self.soft = nn.Linear(d, V)

    def forward(self, w):
        return self.soft(torch.tanh(self.hid(self.table(w))))


def batch(n=256):
    w = torch.multinomial(_zipf, n, replacement=True)
    return w, _next[w]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)


if __name__ == "__main__":
    m = LM()
    opt = optimizer(m)
    for i in range(200):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), "ln V = 8.99")
