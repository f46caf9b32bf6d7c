"""recipe_taste_factors.py -- rating prediction for the recipe app (matrix factorisation with biases)"""
import torch
import torch.nn as nn

N_USERS, N_RECIPES, TASTE = 600, 800, 4

_g = torch.Generator().manual_seed(31)
_true_u = torch.randn(N_USERS, TASTE, generator=_g)
_true_r = torch.randn(N_RECIPES, TASTE, generator=_g)
_true_bu = 0.3 * torch.randn(N_USERS, generator=_g)
_true_br = 0.3 * torch.randn(N_RECIPES, generator=_g)


def draw_ratings(n, seed):
    g = torch.Generator().manual_seed(seed)
    u = torch.randint(0, N_USERS, (n,), generator=g)
    r = torch.randint(0, N_RECIPES, (n,), generator=g)
    stars = (_true_u[u] * _true_r[r]).sum(1) / 2 + _true_bu[u] + _true_br[r]
    # the app shows ratings on a centred scale
    return u, r, stars + 0.15 * torch.randn(n, generator=g)


class TasteModel(nn.Module):
    def __init__(self, factors=8):
        super().__init__()
        self.user_factors = nn.Embedding(N_USERS, factors)
        self.recipe_factors = nn.Embedding(N_RECIPES, factors)
        self.user_bias = nn.Embedding(N_USERS, 1)
        self.recipe_bias = nn.Embedding(N_RECIPES, 1)
        for table in (self.user_factors, self.recipe_factors):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.user_bias, self.recipe_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user, recipe):
        dot = (self.user_factors(user) * self.recipe_factors(recipe)).sum(dim=1)
        return dot + self.user_bias(user).squeeze(1) + self.recipe_bias(recipe).squeeze(1)


def model():
    return TasteModel()


_u, _r, _stars = draw_ratings(60_000, seed=1)


def data():
    for batch in torch.randperm(len(_stars)).split(400):
        yield (_u[batch], _r[batch]), _stars[batch]


loss = nn.MSELoss()


def optimizer(model):
    # L2 regularisation against overfitting to the users with few ratings
    return torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=0.02)
