# Kipf & Welling GCN on a synthetic citation graph
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)
N, CLS, FEAT = 240, 4, 32
labels = torch.arange(N) % CLS
same = labels[:, None] == labels[None]
A = (torch.rand(N, N) < torch.where(same, 0.10, 0.02)).float().triu(1)
A = A + A.T + torch.eye(N)
dinv = A.sum(1).rsqrt()
A_hat = dinv[:, None] * A * dinv[None]
feats = torch.randn(CLS, FEAT)[labels] * 0.5 + torch.randn(N, FEAT)


class GraphConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(i, o))
        self.bias = nn.Parameter(torch.zeros(o))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, hidden=32, layers=16):
        super().__init__()
        dims = [FEAT] + [hidden] * (layers - 1)
        self.convs = nn.ModuleList(GraphConv(i, o) for i, o in zip(dims[:-1], dims[1:]))
        self.last = GraphConv(hidden, CLS)

    def forward(self, x, adj):
        for conv in self.convs:
            x = F.relu(conv(x, adj))
        return F.log_softmax(self.last(x, adj), dim=1)


def batch():
    return (feats, A_hat), labels


loss = F.nll_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
