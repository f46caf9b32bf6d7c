"""
Graph classification: does a group of 24 accounts contain a money ring?

Each group is one dense adjacency matrix plus three features per account.
Message passing as in the lecture notes: every account sums up what its
neighbours (and itself) have to say.
"""
import torch
import torch.nn as nn

N = 24


def groups(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    kind = (torch.rand(n, N, generator=g) < 0.5).float()          # private / business
    alike = (kind[:, :, None] == kind[:, None, :]).float()
    # in suspicious groups accounts of the same kind pay each other more often
    p = 0.45 + (2 * y[:, None, None] - 1) * 0.2 * (2 * alike - 1)
    adj = (torch.rand(n, N, N, generator=g) < p).float()
    adj = torch.triu(adj, 1)
    adj = adj + adj.transpose(1, 2)
    x = torch.stack([kind, 1 - kind, torch.rand(n, N, generator=g)], dim=2)
    return (x, adj), y


class MessagePassing(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.lin = nn.Linear(d_in, d_out)
        nn.init.kaiming_normal_(self.lin.weight, nonlinearity="relu")

    def neighbours(self, adj):
        return adj + torch.eye(N)

    def forward(self, x, adj):
        return torch.relu(self.lin(self.neighbours(adj) @ x))


class RingDetector(nn.Module):
    def __init__(self, width=32, rounds=6):
        super().__init__()
        dims = [3] + [width] * rounds
        self.rounds = nn.ModuleList([MessagePassing(a, b) for a, b in zip(dims, dims[1:])])
        self.readout = nn.Linear(width, 2)

    def forward(self, x, adj):
        for r in self.rounds:
            x = r(x, adj)
        return self.readout(x.mean(dim=1))


(x_tr, a_tr), y_tr = groups(1500, 3)
(x_te, a_te), y_te = groups(500, 4)


def model():
    return RingDetector()


def data():
    for i in torch.randperm(len(y_tr)).split(50):
        yield (x_tr[i], a_tr[i]), y_tr[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
