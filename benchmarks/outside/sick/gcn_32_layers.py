import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(7)
N, C = 200, 4
labels = torch.arange(N) % C
same = labels[:, None] == labels[None, :]
edge = (torch.rand(N, N) < torch.where(same, 0.10, 0.01)).triu(1)
A = (edge | edge.T).float() + torch.eye(N)
d = A.sum(1).rsqrt()
A_hat = d[:, None] * A * d[None, :]
features = F.one_hot(labels, C).float() @ torch.randn(C, 16) + 2.0 * torch.randn(N, 16)


class GCN(nn.Module):
    def __init__(self, nfeat=16, nhid=32, nclass=C, nlayers=32):
        super().__init__()
        self.register_buffer("adj", A_hat)
        self.inp = nn.Linear(nfeat, nhid)
        self.layers = nn.ModuleList([nn.Linear(nhid, nhid) for _ in range(nlayers)])
        self.out = nn.Linear(nhid, nclass)

    def forward(self, x):
        h = F.relu(self.adj @ self.inp(x))
        for layer in self.layers:
            h = F.relu(self.adj @ layer(h))
        return self.out(h)


def batch():
    return features, labels


def loss(out, y):
    return F.nll_loss(F.log_softmax(out, dim=1), y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
