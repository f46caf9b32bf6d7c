# Graph Isomorphism Network: does the random graph contain many triangles?
import torch
import torch.nn as nn


class GINConv(nn.Module):
    def __init__(self, d_in, d):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(1))
        self.mlp = nn.Sequential(
            nn.Linear(d_in, d), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, d), nn.ReLU()
        )

    def forward(self, x, adj):
        h = (1 + self.eps) * x + adj @ x
        return self.mlp(h.flatten(0, 1)).view(*h.shape[:2], -1)


class GIN(nn.Module):
    def __init__(self, d=32, layers=3):
        super().__init__()
        self.convs = nn.ModuleList([GINConv(1 if i == 0 else d, d) for i in range(layers)])
        self.lin = nn.Linear(layers * d, 2)

    def forward(self, adj):
        x = adj.sum(-1, keepdim=True) / 10
        pooled = []
        for conv in self.convs:
            x = conv(x, adj)
            pooled.append(x.mean(1))
        return self.lin(torch.cat(pooled, 1))


def batch(B=48, n=20):
    y = torch.randint(0, 2, (B,))
    # class 0: Erdos-Renyi; class 1: degree-heterogeneous (hubs)
    w = torch.where(y[:, None] == 1, torch.rand(B, n) ** 3 * 1.9 + 0.1, 0.55)
    p = (w[:, :, None] * w[:, None, :]).clamp(max=1) * 0.9
    a = (torch.rand(B, n, n) < p).float().triu(1)
    return a + a.transpose(1, 2), y


def model():
    return GIN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
