"""
Classify discussion threads from their reply graph.

Each thread is a graph of 32 users. A user has a 6-dim profile vector, an edge means "answered".
Threads where people answer like-minded users ("echo", 1) against threads where they answer
people of the other camp ("debate", 0). GraphSAGE-like layers on dense adjacency matrices.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_USERS = 32
N_FEATS = 6


def sample_threads(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    gen = torch.Generator().manual_seed(seed)
    camp = torch.randint(0, 2, (n, N_USERS), generator=gen).float() * 2 - 1
    echo = torch.randint(0, 2, (n,), generator=gen)
    alike = (camp.unsqueeze(1) * camp.unsqueeze(2) > 0).float()
    lean = torch.where(echo.bool(), 0.42, 0.18)[:, None, None]
    p = alike * lean + (1 - alike) * (0.6 - lean)
    upper = torch.triu(torch.rand(n, N_USERS, N_USERS, generator=gen) < p, diagonal=1).float()
    adj = upper + upper.transpose(1, 2)
    x = torch.randn(n, N_USERS, N_FEATS, generator=gen)
    x[..., 0] += 1.2 * camp
    x[..., 1] -= 0.8 * camp
    return x, adj, echo


class SageLayer(nn.Module):
    def __init__(self, d_in: int, d_out: int):
        super().__init__()
        self.self_loop = nn.Linear(d_in, d_out)
        self.neighbours = nn.Linear(d_in, d_out, bias=False)

    def forward(self, h: Tensor, adj: Tensor) -> Tensor:
        return F.relu(self.self_loop(h) + self.neighbours(adj @ h))


class ThreadClassifier(nn.Module):
    def __init__(self, hidden: int = 32, layers: int = 4):
        super().__init__()
        dims = [N_FEATS] + [hidden] * layers
        self.layers = nn.ModuleList([SageLayer(a, b) for a, b in zip(dims[:-1], dims[1:])])
        self.head = nn.Linear(hidden, 2)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, adj)
        return self.head(x.sum(dim=1))


profiles, replies, kinds = sample_threads(1600, seed=8)


def model() -> nn.Module:
    return ThreadClassifier()


def data():
    for rows in torch.randperm(len(kinds)).split(40):
        yield (profiles[rows], replies[rows]), kinds[rows]


def loss(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
