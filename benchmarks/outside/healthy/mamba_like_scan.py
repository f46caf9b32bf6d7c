"""Selective state space layer with a plain Python scan (no CUDA kernels)."""

import torch
import torch.nn.functional as F
from torch import nn


class SelectiveSSM(nn.Module):
    def __init__(self, d, state=8, expand=2):
        super().__init__()
        e = d * expand
        self.in_proj = nn.Linear(d, 2 * e, bias=False)
        self.conv = nn.Conv1d(e, e, 4, groups=e, padding=3)
        self.x_proj = nn.Linear(e, 2 * state + 1, bias=False)
        self.dt_proj = nn.Linear(1, e)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, state + 1)).repeat(e, 1))
        self.D = nn.Parameter(torch.ones(e))
        self.out_proj = nn.Linear(e, d, bias=False)
        dt = torch.exp(torch.empty(e).uniform_(-4.6, -2.3))
        self.dt_proj.bias.data = dt + torch.log(-torch.expm1(-dt))
        self.state = state

    def forward(self, x):
        u, z = self.in_proj(x).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        dt, B, C = self.x_proj(u).split([1, self.state, self.state], -1)
        dt = F.softplus(self.dt_proj(dt))
        A = -self.A_log.exp()
        h = u.new_zeros(u.shape[0], u.shape[2], self.state)
        ys = []
        for t in range(u.shape[1]):
            dA = torch.exp(dt[:, t, :, None] * A)
            h = dA * h + (dt[:, t] * u[:, t])[..., None] * B[:, t, None]
            ys.append((h * C[:, t, None]).sum(-1))
        y = torch.stack(ys, 1) + u * self.D
        return self.out_proj(y * F.silu(z))


class MambaLM(nn.Module):
    def __init__(self, vocab=8, d=32, depth=2):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(depth))
        self.mix = nn.ModuleList(SelectiveSSM(d) for _ in range(depth))
        self.head = nn.Linear(d, vocab)

    def forward(self, t):
        x = self.emb(t)
        for n, m in zip(self.norms, self.mix):
            x = x + m(n(x))
        return self.head(x)


def model():
    return MambaLM()


def batch():
    # remember the last token that was not a blank (0)
    x = torch.randint(1, 8, (16, 24)) * (torch.rand(16, 24) < 0.3)
    x[:, 0] = torch.randint(1, 8, (16,))
    where = torch.where(x > 0, torch.arange(24), 0).cummax(1).values
    return x, x.gather(1, where)


def loss(o, y):
    return F.cross_entropy(o.flatten(0, 1), y.flatten())


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)
