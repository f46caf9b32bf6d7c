"""Graph attention (Velickovic et al. 2018), dense version of the usual pytorch port."""
import torch
import torch.nn as nn
import torch.nn.functional as F

gen = torch.Generator().manual_seed(5)
N, C, FT = 200, 4, 24
lab = torch.arange(N) % C
P = torch.where(lab[:, None] == lab[None], 0.10, 0.015)
adj = (torch.rand(N, N, generator=gen) < P).float().triu(1)
adj = adj + adj.T + torch.eye(N)
feat = torch.randn(C, FT, generator=gen)[lab] * 0.6 + torch.randn(N, FT, generator=gen)


class GraphAttentionLayer(nn.Module):
    def __init__(self, i, o, concat=True):
        super().__init__()
        self.W = nn.Parameter(torch.empty(i, o))
        self.a = nn.Parameter(torch.empty(2 * o, 1))
        nn.init.xavier_uniform_(self.W, gain=1.414)
        nn.init.xavier_uniform_(self.a, gain=1.414)
        self.o, self.concat = o, concat

    def forward(self, h, adj):
        Wh = h @ self.W
        e = F.leaky_relu(Wh @ self.a[: self.o] + (Wh @ self.a[self.o:]).T, 0.2)
        e = torch.where(adj > 0, e, torch.full_like(e, -9e15))
        att = F.dropout(e.softmax(1), 0.3, self.training)
        out = att @ Wh
        return F.elu(out) if self.concat else out


class GAT(nn.Module):
    def __init__(self, hid=8, heads=4):
        super().__init__()
        self.heads = nn.ModuleList([GraphAttentionLayer(FT, hid) for _ in range(heads)])
        self.out = GraphAttentionLayer(hid * heads, C, concat=False)

    def forward(self, x, adj):
        x = F.dropout(x, 0.3, self.training)
        x = torch.cat([h(x, adj) for h in self.heads], 1)
        return F.log_softmax(self.out(x, adj), dim=1)


def batch():
    return (feat, adj), lab


loss = F.nll_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4)
