import torch
from torch import nn

N_USERS, N_ITEMS, RANK = 80, 60, 4
_g = torch.Generator().manual_seed(11)
TRUE = torch.randn(N_USERS, RANK, generator=_g) @ torch.randn(N_ITEMS, RANK, generator=_g).T


class MF(nn.Module):
    """Rating = mu + <p_u, q_i>, Funk style."""

    def __init__(self, k=RANK):
        super().__init__()
        self.P = nn.Embedding(N_USERS, k)
        self.Q = nn.Embedding(N_ITEMS, k)
        self.mu = nn.Parameter(torch.zeros(1))
        nn.init.zeros_(self.P.weight)
        nn.init.zeros_(self.Q.weight)

    def forward(self, u, i):
        return self.mu + (self.P(u) * self.Q(i)).sum(-1)


def batch():
    u = torch.randint(N_USERS, (512,))
    i = torch.randint(N_ITEMS, (512,))
    return (u, i), TRUE[u, i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.05)
