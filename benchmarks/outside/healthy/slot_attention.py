"""Slot attention: softmax over the slots, GRU update, set prediction by sorted colours."""

import torch
from torch import nn


class SlotAttention(nn.Module):
    def __init__(self, slots=4, d=48, iters=3):
        super().__init__()
        self.slots, self.iters, self.scale = slots, iters, d**-0.5
        self.mu = nn.Parameter(torch.randn(1, slots, d))
        self.q, self.k, self.v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.gru = nn.GRUCell(d, d)
        self.ni, self.ns, self.nm = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 96), nn.ReLU(), nn.Linear(96, d))

    def forward(self, x):
        b, _, d = x.shape
        x = self.ni(x)
        k, v = self.k(x), self.v(x)
        s = self.mu.expand(b, -1, -1)
        for _ in range(self.iters):
            attn = (k @ self.q(self.ns(s)).transpose(1, 2) * self.scale).softmax(-1) + 1e-8
            attn = attn / attn.sum(1, keepdim=True)
            upd = attn.transpose(1, 2) @ v
            s = self.gru(upd.reshape(-1, d), s.reshape(-1, d)).view(b, -1, d)
            s = s + self.mlp(self.nm(s))
        return s


class SlotNet(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Sequential(nn.Linear(5, d), nn.ReLU(), nn.Linear(d, d))
        self.slot = SlotAttention(d=d)
        self.dec = nn.Linear(d, 3)

    def forward(self, pts):
        return self.dec(self.slot(self.emb(pts)))


def model():
    return SlotNet()


def batch(n=32):
    # four objects, one in each quadrant, eight noisy points each; predict the mean colours
    corner = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    colour = torch.rand(n, 4, 1, 3) * 2 - 1
    pos = corner[None, :, None] + 0.3 * torch.randn(n, 4, 8, 2)
    pts = torch.cat([pos, colour + 0.1 * torch.randn(n, 4, 8, 3)], -1).flatten(1, 2)
    return pts, colour.squeeze(2)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
