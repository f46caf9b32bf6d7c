"""Which community does a node belong to? Graph convolutions on small two-block graphs, one seed label known per block."""

import torch
from torch import nn

N = 16


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    side = torch.stack([torch.randperm(N, generator=g) % 2 for _ in range(n)])
    same = side.unsqueeze(2) == side.unsqueeze(1)
    p = torch.where(same, 0.6, 0.06)
    a = (torch.rand(n, N, N, generator=g) < p).float().triu(1)
    a = a + a.transpose(1, 2) + torch.eye(N)
    d = a.sum(2).rsqrt()
    a = d.unsqueeze(2) * a * d.unsqueeze(1)
    x = torch.randn(n, N, 3, generator=g)
    x[..., 0] += 1.2 * (2 * side - 1)
    return (x, a), side


class GCNLayer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.lin = nn.Linear(d_in, d_out)

    def forward(self, h, a):
        return torch.tanh(self.lin(a @ h))


class GCN(nn.Module):
    def __init__(self, hidden=24, layers=24):
        super().__init__()
        self.embed = GCNLayer(3, hidden)
        self.layers = nn.ModuleList([GCNLayer(hidden, hidden) for _ in range(layers)])
        self.out = nn.Linear(hidden, 2)

    def forward(self, x, a):
        h = self.embed(x, a)
        for layer in self.layers:
            h = layer(h, a)
        return self.out(h)


def model():
    return GCN()


(X, A), SIDE = make(600, 0)


def data(seed=0):
    for i in torch.randperm(600, generator=torch.Generator().manual_seed(seed)).split(30):
        yield (X[i], A[i]), SIDE[i]


def loss(output, target):
    return nn.functional.cross_entropy(output.reshape(-1, 2), target.reshape(-1))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
