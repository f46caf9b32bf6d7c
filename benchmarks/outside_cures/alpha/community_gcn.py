"""Which of four communities does a person belong to? Small random friendship graphs."""
import torch
import torch.nn as nn

NODES, GROUPS, FEATURES = 40, 4, 12
CENTRES = torch.randn(GROUPS, FEATURES, generator=torch.Generator().manual_seed(0)) * 0.6


def graphs(n, seed):
    g = torch.Generator().manual_seed(seed)
    member = torch.randint(0, GROUPS, (n, NODES), generator=g)
    same = member.unsqueeze(1) == member.unsqueeze(2)
    p = torch.where(same, 0.35, 0.08)
    edge = (torch.rand(n, NODES, NODES, generator=g) < p).float().triu(1)
    adj = edge + edge.transpose(1, 2) + torch.eye(NODES)
    d = adj.sum(2).rsqrt()
    adj = d.unsqueeze(2) * adj * d.unsqueeze(1)
    feats = CENTRES[member] + torch.randn(n, NODES, FEATURES, generator=g)
    return feats, adj, member


FEATS, ADJ, MEMBER = graphs(600, seed=1)


class GCNLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, h, adj):
        return adj @ (h @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, hidden=32, layers=16):
        super().__init__()
        self.first = GCNLayer(FEATURES, hidden)
        self.layers = nn.ModuleList(GCNLayer(hidden, hidden) for _ in range(layers))
        self.last = nn.Linear(hidden, GROUPS)

    def forward(self, feats, adj):
        h = torch.relu(self.first(feats, adj))
        for layer in self.layers:
            h = torch.relu(layer(h, adj))
        return self.last(h)


def model():
    return GCN()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(FEATS), generator=g).split(20):
        yield {"feats": FEATS[i], "adj": ADJ[i]}, MEMBER[i]


def loss(scores, member):
    return nn.functional.cross_entropy(scores.reshape(-1, GROUPS), member.reshape(-1))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


_f, _a, _m = graphs(60, seed=2)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(_f, _a).argmax(-1) == _m).float().mean().item()
    model.train()
    return acc


GOAL = 0.7
HIGHER_IS_BETTER = True
