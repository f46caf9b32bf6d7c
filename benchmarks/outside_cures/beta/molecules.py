# Small random graphs with typed nodes; how many bonds join a node of type 0 with one of type 1?
import torch
import torch.nn as nn
import torch.nn.functional as F

NODES, TYPES = 12, 4


def make_graphs(n, seed):
    g = torch.Generator().manual_seed(seed)
    upper = (torch.rand(n, NODES, NODES, generator=g) < 0.25).float().triu(1)
    adj = upper + upper.transpose(1, 2)
    kind = torch.randint(TYPES, (n, NODES), generator=g)
    x = F.one_hot(kind, TYPES).float()
    count = torch.einsum("bi,bij,bj->b", x[..., 0], adj, x[..., 1])
    return x, adj, (count - 1.0).unsqueeze(1)


train_x, train_adj, train_y = make_graphs(1600, 3)


class GraphConv(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.own = nn.Linear(d_in, d_out)
        self.neigh = nn.Linear(d_in, d_out, bias=False)

    def forward(self, x, adj):
        return F.relu(self.own(x) + self.neigh(adj @ x))


class GraphNet(nn.Module):
    def __init__(self, width=16, depth=3):
        super().__init__()
        self.convs = [GraphConv(TYPES if i == 0 else width, width) for i in range(depth)]
        self.readout = nn.Linear(width, 1)

    def forward(self, x, adj):
        for conv in self.convs:
            x = conv(x, adj)
        return self.readout(x.mean(1))


def model():
    return GraphNet()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(train_y), generator=g).split(50):
        yield (train_x[i], train_adj[i]), train_y[i]


def loss(output, target):
    return F.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
