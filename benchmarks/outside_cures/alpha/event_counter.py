"""Plain ReLU recurrence over 60 time steps: was there more of A or of B in the stream?"""
import torch
import torch.nn as nn

T = 60


def streams(n, seed):
    g = torch.Generator().manual_seed(seed)
    bias = torch.rand(n, 1, generator=g) * 0.3 + 0.05
    a = (torch.rand(n, T, generator=g) < bias).float()
    b = (torch.rand(n, T, generator=g) < 0.35 - bias + 0.05).float()
    keep = (a.sum(1) - b.sum(1)).abs() >= 3
    x = torch.stack([a, b, 0.3 * torch.randn(n, T, generator=g)], 2)
    return x[keep], (a.sum(1) > b.sum(1)).long()[keep]


stream, answer = streams(3000, seed=1)


class Counter(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.inp = nn.Linear(3, hidden)
        self.rec = nn.Linear(hidden, hidden, bias=False)
        self.out = nn.Linear(hidden, 2)
        with torch.no_grad():
            self.rec.weight.copy_(torch.eye(hidden))
            self.inp.weight.mul_(0.1)
            self.inp.bias.zero_()

    def forward(self, x):
        h = torch.zeros(x.shape[0], self.rec.in_features)
        for t in range(x.shape[1]):
            h = torch.relu(self.inp(x[:, t]) + self.rec(h))
        return self.out(h)


def model():
    return Counter()


def data():
    for i in torch.randperm(len(answer)).split(64):
        yield stream[i], answer[i]


def loss(logits, y):
    return nn.functional.cross_entropy(logits, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
