"""Two-layer GCN (Kipf & Welling) on a planted partition, dense normalised adjacency."""

import torch
import torch.nn.functional as F
from torch import nn


def planted(n=240, k=4, p_in=0.12, p_out=0.01, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    same = y[:, None] == y[None]
    upper = torch.rand(n, n, generator=g) < torch.where(same, p_in, p_out)
    adj = upper.triu(1).float()
    adj = adj + adj.T + torch.eye(n)
    d = adj.sum(1).rsqrt()
    x = torch.randn(n, 16, generator=g)
    x[:, :k] += 0.7 * F.one_hot(y, k)
    train = torch.rand(n, generator=g) < 0.3
    return x, d[:, None] * adj * d[None], y, train


X, A, Y, TRAIN = planted()


class GraphConvolution(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.bias = nn.Parameter(torch.zeros(o))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, i=16, h=32, o=4, dropout=0.5):
        super().__init__()
        self.gc1 = GraphConvolution(i, h)
        self.gc2 = GraphConvolution(h, o)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.gc1(x, adj)), self.dropout, self.training)
        return self.gc2(x, adj)


def model():
    return GCN()


def batch():
    return (X, A), Y


def loss(output, target):
    return F.cross_entropy(output[TRAIN], target[TRAIN])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
