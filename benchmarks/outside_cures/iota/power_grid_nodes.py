"""GIN (Xu et al. 2019) on our distribution grid: which operator district does a substation belong to?

Full batch; nodes 0..299 are labelled for training, the rest is what we want to know.
"""
import torch
from torch import nn

N, DISTRICTS, FEATS = 500, 5, 12


def build_grid(seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, DISTRICTS, (N,), generator=g)
    same = y[:, None] == y[None]
    # a few substations are hubs
    pull = 0.6 + 2.5 * (torch.rand(N, generator=g) < 0.05).float()
    p = torch.where(same, 0.16, 0.02) * pull[:, None] * pull[None]
    up = torch.triu((torch.rand(N, N, generator=g) < p).float(), 1)
    adj = up + up.T
    centres = torch.randn(DISTRICTS, FEATS, generator=g)
    x = 0.5 * centres[y] + 1.5 * torch.randn(N, FEATS, generator=g)
    return x, adj, y


x, adj, y = build_grid()
train_idx = torch.arange(300)


class GINLayer(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(1))
        self.mlp = nn.Sequential(nn.Linear(d_in, d_out), nn.ReLU(), nn.Linear(d_out, d_out))

    def forward(self, h, adj):
        return self.mlp((1 + self.eps) * h + adj @ h)


class GridGIN(nn.Module):
    def __init__(self, hidden=32, layers=4):
        super().__init__()
        dims = [FEATS] + [hidden] * layers
        self.layers = nn.ModuleList(GINLayer(a, b) for a, b in zip(dims[:-1], dims[1:]))
        self.out = nn.Linear(hidden, DISTRICTS)

    def forward(self, x, adj, nodes):
        h = x
        for layer in self.layers:
            h = torch.relu(layer(h, adj))
        return self.out(h)[nodes]


def model():
    return GridGIN()


data = [((x, adj, train_idx), y[train_idx])]
loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
