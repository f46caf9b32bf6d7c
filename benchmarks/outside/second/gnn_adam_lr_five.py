import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(12)
N = 300
community = torch.randint(0, 3, (N,))
prob = torch.where(community[:, None] == community[None, :], 0.06, 0.015)
upper = torch.bernoulli(prob).triu(1)
adj = upper + upper.T
mean_adj = adj / adj.sum(1, keepdim=True).clamp(min=1)
feats = torch.cat([torch.randn(N, 14), F.one_hot(community, 3) + 1.2 * torch.randn(N, 3)], 1)


class SAGEConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.own, self.neigh = nn.Linear(i, o), nn.Linear(i, o, bias=False)

    def forward(self, x):
        return self.own(x) + self.neigh(mean_adj @ x)


class SAGE(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2, self.c3 = SAGEConv(17, 64), SAGEConv(64, 64), SAGEConv(64, 3)

    def forward(self, x):
        return self.c3(F.relu(self.c2(F.relu(self.c1(x)))))


def batch():
    return feats, community


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5.0)
