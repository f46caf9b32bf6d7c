"""Sparsely gated mixture of experts (Shazeer et al. 2017), top-2 of 8, gate starts at zero."""
import torch
from torch import nn
import torch.nn.functional as F

DIM, EXPERTS = 4, 8
_g = torch.Generator().manual_seed(3)
CENTRES = 1.5 * torch.randn(5, DIM, generator=_g)
SLOPES = torch.randn(5, DIM, generator=_g)


def batch(size=256):
    r = torch.randint(0, 5, (size,))
    x = CENTRES[r] + 0.4 * torch.randn(size, DIM)
    return x, (x * SLOPES[r]).sum(-1, keepdim=True) / 2


class TopKMoE(nn.Module):
    def __init__(self, hidden=16, k=2):
        super().__init__()
        self.k = k
        self.gate = nn.Parameter(torch.zeros(DIM, EXPERTS))
        self.noise = nn.Parameter(torch.zeros(DIM, EXPERTS))
        self.w1 = nn.Parameter(torch.randn(EXPERTS, DIM, hidden) / DIM ** 0.5)
        self.w2 = nn.Parameter(torch.randn(EXPERTS, hidden, 1) / hidden ** 0.5)

    def forward(self, x):
        logits = x @ self.gate
        if self.training:
            logits = logits + torch.randn_like(logits) * F.softplus(x @ self.noise)
        top, idx = logits.topk(self.k, -1)
        w = torch.full_like(logits, float("-inf")).scatter(-1, idx, top).softmax(-1)
        h = torch.relu(torch.einsum("bd,edh->beh", x, self.w1))
        y = torch.einsum("beh,eho->beo", h, self.w2)
        return (w.unsqueeze(-1) * y).sum(1)


def loss(pred, y):
    return F.mse_loss(pred, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
