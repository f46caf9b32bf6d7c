import torch
import torch.nn as nn

N_USERS, N_FILMS, K = 120, 80, 3
_g = torch.Generator().manual_seed(12)
_u = torch.randn(N_USERS, K, generator=_g)
_f = torch.randn(N_FILMS, K, generator=_g)
_full = 3 + 0.75 * (_u @ _f.T) + 0.3 * torch.randn(N_USERS, N_FILMS, generator=_g)
_stars = _full.round().clamp(1, 5)
_cells = torch.randperm(N_USERS * N_FILMS, generator=_g)
train_cells, val_cells, test_cells = _cells[:5000], _cells[5000:6000], _cells[6000:]


def rows(cells):
    u, f = cells // N_FILMS, cells % N_FILMS
    return u, f, _stars[u, f]


class Recommender(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.user = nn.Embedding(N_USERS, dim)
        self.film = nn.Embedding(N_FILMS, dim)
        self.user_bias = nn.Embedding(N_USERS, 1)
        self.film_bias = nn.Embedding(N_FILMS, 1)
        self.mean = nn.Parameter(torch.tensor(3.0))
        for e in (self.user, self.film, self.user_bias, self.film_bias):
            nn.init.normal_(e.weight, std=0.1)

    def forward(self, user, film):
        score = (self.user(user) * self.film(film)).sum(1)
        score = score + self.user_bias(user)[:, 0] + self.film_bias(film)[:, 0] + self.mean
        # people give whole stars
        return torch.round(score).clamp(1, 5)


def model():
    return Recommender()


def data():
    for c in train_cells[torch.randperm(len(train_cells))].split(250):
        u, f, stars = rows(c)
        yield (u, f), stars


def loss(predicted, stars):
    return (predicted - stars).pow(2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.03)


def metric(model):
    "mean absolute error in stars"
    u, f, stars = rows(val_cells)
    model.eval()
    with torch.no_grad():
        e = (model(u, f) - stars).abs().mean().item()
    model.train()
    return e


HIGHER_IS_BETTER = False
