"""Semi-supervised node classification, one graph, GCNII (Chen et al. 2020), 16 layers."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

NUM_NODES, NUM_CLASSES, NUM_FEATS = 500, 4, 60


def stochastic_block_citations(seed=6):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, NUM_CLASSES, (NUM_NODES,), generator=g)
    same = (y[:, None] == y[None, :]).float()
    prob = 0.016 * same + 0.003 * (1 - same)
    adj = (torch.rand(NUM_NODES, NUM_NODES, generator=g) < prob).float().triu(1)
    adj = adj + adj.t()
    words = torch.rand(NUM_CLASSES, NUM_FEATS, generator=g) ** 3 * 0.25
    x = (torch.rand(NUM_NODES, NUM_FEATS, generator=g) < words[y]).float()
    return x, adj, y


x, adj, y = stochastic_block_citations()
x = x / x.sum(1, keepdim=True).clamp(min=1)
a = adj + torch.eye(NUM_NODES)
d = a.sum(1).rsqrt()
A_HAT = d[:, None] * a * d[None, :]

_order = torch.randperm(NUM_NODES, generator=torch.Generator().manual_seed(0))
train_idx, test_idx = _order[:120], _order[200:]
y_train = torch.full((NUM_NODES,), -100)
y_train[train_idx] = y[train_idx]


class GCNII(nn.Module):
    def __init__(self, hidden=32, layers=16, alpha=0.1, lamda=0.5, dropout=0.5):
        super().__init__()
        self.fcs = nn.ModuleList([nn.Linear(NUM_FEATS, hidden), nn.Linear(hidden, NUM_CLASSES)])
        self.convs = nn.ParameterList(
            [nn.Parameter(torch.empty(hidden, hidden).uniform_(-hidden ** -0.5, hidden ** -0.5)) for _ in range(layers)]
        )
        self.alpha, self.lamda, self.dropout = alpha, lamda, dropout

    def forward(self, x, a_hat):
        x = F.dropout(x, self.dropout, self.training)
        h0 = h = F.relu(self.fcs[0](x))
        for l, w in enumerate(self.convs, start=1):
            h = F.dropout(h, self.dropout, self.training)
            theta = math.log(self.lamda / l + 1)
            support = (1 - self.alpha) * (a_hat @ h) + self.alpha * h0
            h = F.relu(theta * (support @ w) + (1 - theta) * support)
        return self.fcs[1](F.dropout(h, self.dropout, self.training))


def loss(logits, target):
    return F.cross_entropy(logits, target, ignore_index=-100)


data = [((x, A_HAT), y_train)]


def model():
    return GCNII()


def optimizer(model):
    return torch.optim.Adam(
        [
            {"params": model.convs.parameters(), "weight_decay": 0.01},
            {"params": model.fcs.parameters(), "weight_decay": 5e-4},
        ],
        lr=0.01,
    )
