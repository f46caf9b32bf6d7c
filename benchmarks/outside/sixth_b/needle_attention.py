import torch
from torch import nn
import torch.nn.functional as F

N, V, D = 12, 8, 64


class Needle(nn.Module):
    """One query looks at N cells; exactly one carries the flag. Report its symbol."""

    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(V + 1, D)
        self.q = nn.Parameter(torch.randn(D))
        self.wq = nn.Parameter(torch.randn(D, D))
        self.wk = nn.Parameter(torch.randn(D, D))
        self.wv = nn.Parameter(torch.randn(D, D) / D ** 0.5)
        self.ln = nn.LayerNorm(D)
        self.cls = nn.Linear(D, V)

    def forward(self, x):
        h = self.ln(self.inp(x))
        q = self.q @ self.wq
        k = h @ self.wk
        v = h @ self.wv
        att = torch.softmax(torch.einsum("d,bnd->bn", q, k), -1)
        return self.cls(torch.einsum("bn,bnd->bd", att, v))


def batch(n=128):
    sym = torch.randint(0, V, (n, N))
    where = torch.randint(0, N, (n,))
    flag = F.one_hot(where, N).float()
    x = torch.cat([F.one_hot(sym, V).float(), flag[..., None]], -1)
    return x, sym[torch.arange(n), where]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4)
