"""Node classification with a small GCN on a synthetic citation graph (stochastic block model).

Full graph every step; data() hands out chunks of training nodes.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

N, K = 1500, 6
FEATURES = 24


def build_graph():
    g = torch.Generator().manual_seed(8)
    y = torch.randint(0, K, (N,), generator=g)
    same = (y[:, None] == y[None, :]).float()
    p = 0.012 * same + 0.0012 * (1 - same)
    a = (torch.rand(N, N, generator=g) < p).float().triu(1)
    a = a + a.T + torch.eye(N)
    d = a.sum(1).rsqrt()
    adj = (d[:, None] * a * d[None, :]).to_sparse()
    centres = torch.randn(K, FEATURES, generator=g)
    x = 0.5 * centres[y] + torch.randn(N, FEATURES, generator=g)
    return adj, x, y


ADJ, X, Y = build_graph()
perm = torch.randperm(N, generator=torch.Generator().manual_seed(0))
TRAIN, VAL, TEST = perm[:800], perm[800:1000], perm[1000:]


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x):
        return torch.sparse.mm(ADJ, x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, n_layers=24, hidden=32):
        super().__init__()
        self.first = GraphConv(FEATURES, hidden)
        self.convs = nn.ModuleList(GraphConv(hidden, hidden) for _ in range(n_layers - 2))
        self.last = GraphConv(hidden, K)

    def forward(self, nodes):
        h = torch.tanh(self.first(X))
        for conv in self.convs:
            h = torch.tanh(conv(h))
        return self.last(h)[nodes]


def model():
    return GCN()


def data():
    for nodes in TRAIN[torch.randperm(len(TRAIN))].split(200):
        yield nodes, Y[nodes]


def loss(output, target):
    return F.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=5e-4)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(VAL).argmax(1) == Y[VAL]).float().mean().item()


GOAL = 0.7
HIGHER_IS_BETTER = True
