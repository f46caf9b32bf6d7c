import torch
import torch.nn as nn
import torch.nn.functional as F

torch_gen = torch.Generator().manual_seed(42)


def make_graph(n=300, classes=5, words=200):
    y = torch.arange(n) % classes
    p = torch.where(y[:, None] == y[None], 0.05, 0.006)
    adj = torch.bernoulli(p, generator=torch_gen).triu(1)
    adj = adj + adj.T + torch.eye(n)
    d = adj.sum(1).rsqrt()
    topic = torch.rand(classes, words, generator=torch_gen) ** 4
    x = torch.bernoulli(0.25 * topic[y], generator=torch_gen)
    x = x / x.sum(1, keepdim=True).clamp(min=1)  # row-normalise like planetoid
    return x, d[:, None] * adj * d[None], y


feats, A, labels = make_graph()


class GraphConvolution(nn.Module):
    """tkipf/pygcn (tf version: glorot)"""

    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.bias = nn.Parameter(torch.zeros(o))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat=200, nhid=16, nclass=5, dropout=0.5):
        super().__init__()
        self.gc1, self.gc2, self.p = GraphConvolution(nfeat, nhid), GraphConvolution(nhid, nclass), dropout

    def forward(self, x, adj):
        x = F.dropout(F.relu(self.gc1(x, adj)), self.p, self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def batch():
    return (feats, A), labels


loss = nn.NLLLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
