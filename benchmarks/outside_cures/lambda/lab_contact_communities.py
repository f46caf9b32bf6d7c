"""
Node labelling on small contact graphs (master's thesis, second experiment).

Every graph has 24 people in two departments; people mostly meet within the department. Everybody carries
a noisy questionnaire of 8 numbers. Predict each person's department (0: the one with the higher
answers to the first questions).
"""
import torch
from torch import nn
import torch.nn.functional as F

N, D = 24, 8


def contact_graphs(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n, N), generator=g)
    same = y.unsqueeze(1) == y.unsqueeze(2)
    p = torch.where(same, 0.45, 0.12)
    upper = (torch.rand(n, N, N, generator=g) < p).float().triu(1)
    adj = upper + upper.transpose(1, 2)
    x = torch.randn(n, N, D, generator=g)
    x[..., :3] += 0.55 * (1 - 2 * y.unsqueeze(-1).float())
    return x, adj, y


class MeanConv(nn.Module):
    """own graph convolution: mean over the neighbours and oneself, then a linear map"""

    def __init__(self, d_in, d_out):
        super().__init__()
        self.lin = nn.Linear(d_in, d_out)

    def forward(self, x, adj):
        a = adj + torch.eye(adj.shape[-1])
        a = a / a.sum(-1, keepdim=True)
        return self.lin(a @ x)


class ContactGNN(nn.Module):
    # 12 rounds: information of everyone reaches everyone, with some reserve
    def __init__(self, width=32, rounds=12):
        super().__init__()
        self.inp = nn.Linear(D, width)
        self.convs = nn.ModuleList([MeanConv(width, width) for _ in range(rounds)])
        self.out = nn.Linear(width, 2)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x, adj):
        h = F.relu(self.inp(x))
        for conv in self.convs:
            h = F.relu(conv(h, adj))
        return self.out(h)


def model():
    return ContactGNN()


X, ADJ, Y = contact_graphs(960, seed=17)


def data():
    for i in torch.randperm(len(X)).split(32):
        yield (X[i], ADJ[i]), Y[i]


def loss(logits, departments):
    return F.cross_entropy(logits.flatten(0, 1), departments.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
