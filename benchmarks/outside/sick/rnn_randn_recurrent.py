import torch
from torch import nn


class VanillaRNN(nn.Module):
    """min-char-rnn in torch."""

    def __init__(self, vocab=10, hidden=100):
        super().__init__()
        self.Wxh = nn.Parameter(torch.randn(vocab, hidden))
        self.Whh = nn.Parameter(torch.randn(hidden, hidden))
        self.Why = nn.Parameter(torch.randn(hidden, vocab) / 10)
        self.bh = nn.Parameter(torch.zeros(hidden))
        self.by = nn.Parameter(torch.zeros(vocab))

    def forward(self, ids):
        hs = torch.zeros(ids.shape[0], self.Whh.shape[0])
        ys = []
        for t in range(ids.shape[1]):
            hs = torch.tanh(self.Wxh[ids[:, t]] + hs @ self.Whh + self.bh)
            ys.append(hs @ self.Why + self.by)
        return torch.stack(ys, dim=1)


def batch(n=32, T=25):
    ids = torch.randint(0, 10, (n, T + 1))
    y = (ids[:, 1:] + ids[:, :-1]) % 10
    return ids[:, 1:], y


def loss(out, y):
    return nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
