"""Film recommender, the classic: biases plus latent factors (what won a million dollars once).

    rating ~ mu + b_user + b_film + <p_user, q_film>

Hyperparameters are those of the well-known SVD recipe: lr = 0.005, reg = 0.02.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N_USERS, N_FILMS, TASTES = 240, 160, 3


def fake_movielens(seed=7):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(N_USERS, TASTES))
    q = rng.normal(size=(N_FILMS, TASTES))
    full = 3.4 + 0.3 * rng.normal(size=(N_USERS, 1)) + 0.4 * rng.normal(size=(1, N_FILMS))
    full = full + 0.55 * p @ q.T + 0.2 * rng.normal(size=full.shape)
    u, f = np.nonzero(rng.random(full.shape) < 0.4)
    order = rng.permutation(len(u))
    u, f = u[order], f[order]
    return torch.from_numpy(u), torch.from_numpy(f), torch.from_numpy(full[u, f]).float()


users, films, stars = fake_movielens()
cut = int(0.85 * len(stars))
mean_star = stars[:cut].mean().item()


class Factors(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.user_bias = nn.Embedding(N_USERS, 1)
        self.film_bias = nn.Embedding(N_FILMS, 1)
        self.user = nn.Embedding(N_USERS, k)
        self.film = nn.Embedding(N_FILMS, k)
        for e in (self.user_bias, self.film_bias):
            nn.init.zeros_(e.weight)
        for e in (self.user, self.film):
            nn.init.normal_(e.weight, 0, 0.1)

    def forward(self, u, f):
        b = self.user_bias(u) + self.film_bias(f)
        return mean_star + b.squeeze(-1) + (self.user(u) * self.film(f)).sum(-1)


def model():
    return Factors()


def data():
    for i in torch.randperm(cut).split(256):
        yield (users[i], films[i]), stars[i]


def loss(pred, target):
    return F.mse_loss(pred, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=0.02)
