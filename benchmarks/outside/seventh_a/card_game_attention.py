"""Trick taking game: who wins the trick? Attention over the cards on the table."""
import torch
from torch import nn

N_CARDS, SEATS = 32, 6


def batch(n=64):
    cards = torch.stack([torch.randperm(N_CARDS)[:SEATS] for _ in range(n)])
    suit, rank = cards // 8, cards % 8
    lead = suit[:, :1]
    power = torch.where(suit == lead, rank, torch.full_like(rank, -1))
    power = torch.where(suit == 3, rank + 10, power)
    return cards, power.argmax(1)


class TableAttention(nn.Module):
    def __init__(self, dim=256, blocks=2):
        super().__init__()
        self.card = nn.Embedding(N_CARDS, dim)
        self.seat = nn.Parameter(torch.randn(SEATS, dim))
        self.q = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(blocks))
        self.k = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(blocks))
        self.v = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(blocks))
        for m in [*self.q, *self.k]:
            nn.init.normal_(m.weight, std=dim ** -0.5)
        self.out = nn.Linear(dim, 1)

    def forward(self, cards):
        x = self.card(cards) + self.seat
        for q, k, v in zip(self.q, self.k, self.v):
            a = torch.softmax(q(x) @ k(x).transpose(1, 2), dim=-1)
            x = a @ v(x)
        return self.out(x).squeeze(-1)


def loss(scores, winner):
    return nn.functional.cross_entropy(scores, winner)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
