import torch
from torch import nn
from torch.nn import functional as F


class GATLayer(nn.Module):
    """Graph attention with an edge list and a scatter softmax."""

    def __init__(self, f_in, f_out, heads=4):
        super().__init__()
        self.h, self.f = heads, f_out
        self.W = nn.Linear(f_in, heads * f_out, bias=False)
        self.a_src = nn.Parameter(torch.randn(heads, f_out) * f_out**-0.5)
        self.a_dst = nn.Parameter(torch.randn(heads, f_out) * f_out**-0.5)

    def forward(self, x, edges):
        src, dst = edges
        z = self.W(x).view(-1, self.h, self.f)
        e = F.leaky_relu((z * self.a_src).sum(-1)[src] + (z * self.a_dst).sum(-1)[dst], 0.2)
        top = torch.full((len(x), self.h), -1e9)
        top = top.scatter_reduce(0, dst[:, None].expand_as(e), e.detach(), "amax")
        e = torch.exp(e - top[dst])
        total = torch.zeros(len(x), self.h).index_add(0, dst, e)
        alpha = e / total[dst]
        out = torch.zeros_like(z).index_add(0, dst, alpha.unsqueeze(-1) * z[src])
        return out.flatten(1)


class GAT(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = GATLayer(12, 8)
        self.l2 = GATLayer(32, 8)
        self.out = nn.Linear(32, 3)

    def forward(self, x, edges):
        x = F.elu(self.l1(x, edges))
        x = F.elu(self.l2(x, edges))
        return self.out(x)


def batch(n=200):
    """Label of a node: the loudest channel summed over its neighbours."""
    x = torch.randn(n, 12)
    src = torch.randint(0, n, (n * 4,))
    dst = torch.arange(n).repeat(4)
    loops = torch.arange(n)
    src, dst = torch.cat([src, loops]), torch.cat([dst, loops])
    agg = torch.zeros(n, 12).index_add(0, dst, x[src])
    return (x, torch.stack([src, dst])), agg[:, :3].argmax(1)


def model():
    return GAT()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
