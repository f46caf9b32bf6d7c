#!/usr/bin/env python
# Matrix factorisation for the movie club's ratings table.
# usage: python movie_ratings_mf.py
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N_USERS, N_MOVIES = 250, 180
DIM = 32


def make_ratings(seed=11, density=0.3):
    """Stand-in for ratings.csv: tastes in a few directions, stars from 1 to 5."""
    r = np.random.RandomState(seed)
    taste = r.randn(N_USERS, 3)
    genre = r.randn(N_MOVIES, 3)
    grumpy = 0.4 * r.randn(N_USERS, 1)
    quality = 0.5 * r.randn(1, N_MOVIES)
    stars = 3.4 + grumpy + quality + 0.6 * taste @ genre.T + 0.3 * r.randn(N_USERS, N_MOVIES)
    stars = np.clip(stars, 1, 5)
    seen = r.rand(N_USERS, N_MOVIES) < density
    u, m = np.nonzero(seen)
    return u, m, stars[u, m].astype("float32")


users, movies, stars = make_ratings()
perm = np.random.RandomState(0).permutation(len(users))
n_test = len(perm) // 6
test_idx, train_idx = perm[:n_test], perm[n_test:]


class MF(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(N_USERS, DIM)
        self.movie = nn.Embedding(N_MOVIES, DIM)
        self.user_bias = nn.Embedding(N_USERS, 1)
        self.movie_bias = nn.Embedding(N_MOVIES, 1)
        self.mean = nn.Parameter(torch.tensor(3.4))

    def forward(self, u, m):
        dot = (self.user(u) * self.movie(m)).sum(-1)
        return dot + self.user_bias(u).squeeze(-1) + self.movie_bias(m).squeeze(-1) + self.mean


def model():
    return MF()


def data():
    order = train_idx[torch.randperm(len(train_idx)).numpy()]
    for i in range(0, len(order) - 255, 256):
        b = order[i : i + 256]
        yield (torch.from_numpy(users[b]), torch.from_numpy(movies[b])), torch.from_numpy(stars[b])


def loss(pred, y):
    return F.mse_loss(pred, y)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=5e-3)


if __name__ == "__main__":
    net = model()
    opt = optimizer(net)
    for epoch in range(20):
        for (u, m), y in data():
            l = loss(net(u, m), y)
            opt.zero_grad()
            l.backward()
            opt.step()
        with torch.no_grad():
            p = net(torch.from_numpy(users[test_idx]), torch.from_numpy(movies[test_idx]))
            print(epoch, "train", l.item(), "test rmse", F.mse_loss(p, torch.from_numpy(stars[test_idx])).sqrt().item())
