"""Matrix factorisation for a film club: 150 members, 120 films, ratings 1 to 5."""
import torch
from torch import nn

N_USERS, N_FILMS, RANK = 150, 120, 8

_g = torch.Generator().manual_seed(77)
_taste = torch.randn(N_USERS, 3, generator=_g)
_genre = torch.randn(N_FILMS, 3, generator=_g)
_full = 3.2 + 0.2 * torch.randn(N_FILMS, generator=_g) + 0.75 * _taste @ _genre.T
_ratings = (_full + 0.2 * torch.randn(N_USERS, N_FILMS, generator=_g)).clamp(0.5, 6)
_cells = torch.randperm(N_USERS * N_FILMS, generator=_g)
U, I = _cells // N_FILMS, _cells % N_FILMS
R = _ratings[U, I]
N_TRAIN, N_VAL = 11000, 2000


class MF(nn.Module):
    def __init__(self):
        super().__init__()
        # cold start: an unknown member gets the film's average
        self.P = nn.Parameter(torch.zeros(N_USERS, RANK))
        self.Q = nn.Parameter(torch.zeros(N_FILMS, RANK))
        self.bu = nn.Parameter(torch.zeros(N_USERS))
        self.bi = nn.Parameter(torch.zeros(N_FILMS))
        self.mu = nn.Parameter(torch.tensor(3.0))

    def forward(self, user, film):
        return self.mu + self.bu[user] + self.bi[film] + (self.P[user] * self.Q[film]).sum(-1)


def model():
    return MF()


def data():
    for idx in torch.randperm(N_TRAIN).split(256):
        yield {"user": U[idx], "film": I[idx]}, R[idx]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-5)
