"""LSTM written out gate by gate. Reads a ticket of 40 tokens, must name the product mentioned at the start."""

import torch
from torch import nn

WORDS, PRODUCTS, LEN = 30, 4, 40


def tickets(n, seed):
    g = torch.Generator().manual_seed(seed)
    text = torch.randint(PRODUCTS, WORDS, (n, LEN), generator=g)
    product = torch.randint(PRODUCTS, (n,), generator=g)
    text[torch.arange(n), torch.randint(0, 3, (n,), generator=g)] = product
    return text, product


class LSTM(nn.Module):
    def __init__(self, n_in, n):
        super().__init__()
        self.n = n
        self.gates = nn.Linear(n_in + n, 3 * n)
        self.candidate = nn.Linear(n_in + n, n)
        nn.init.constant_(self.gates.bias, -1.5)

    def forward(self, x):
        h = c = torch.zeros(len(x), self.n)
        for t in range(x.shape[1]):
            z = torch.cat([x[:, t], h], 1)
            forget, write, show = torch.sigmoid(self.gates(z)).chunk(3, 1)
            c = forget * c + write * torch.tanh(self.candidate(z))
            h = show * torch.tanh(c)
        return h


class Router(nn.Module):
    def __init__(self, dim=16, n=32):
        super().__init__()
        self.words = nn.Embedding(WORDS, dim)
        self.lstm = LSTM(dim, n)
        self.out = nn.Linear(n, PRODUCTS)

    def forward(self, text):
        return self.out(self.lstm(self.words(text)))


def model():
    return Router()


texts, products = tickets(1600, 0)


def data(seed=0):
    for i in torch.randperm(1600, generator=torch.Generator().manual_seed(seed)).split(64):
        yield texts[i], products[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model):
    t, p = tickets(400, 1)
    with torch.no_grad():
        return (model(t).argmax(1) == p).float().mean().item()


HIGHER_IS_BETTER = True
