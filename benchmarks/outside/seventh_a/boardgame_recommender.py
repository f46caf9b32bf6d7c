import torch
import torch.nn as nn

NUM_USERS, NUM_GAMES, K = 300, 120, 8

_g = torch.Generator().manual_seed(0)
_u = torch.randn(NUM_USERS, 4, generator=_g)
_i = torch.randn(NUM_GAMES, 4, generator=_g)


def batch():
    u = torch.randint(0, NUM_USERS, (512,))
    i = torch.randint(0, NUM_GAMES, (512,))
    r = (_u[u] * _i[i]).sum(1) / 2 + 0.2 * torch.randn(512)
    return (u, i), r            # ratings minus the game's mean, in stars


class MatrixFactorisation(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(NUM_USERS, K)
        self.game = nn.Embedding(NUM_GAMES, K)
        self.user_bias = nn.Embedding(NUM_USERS, 1)
        self.game_bias = nn.Embedding(NUM_GAMES, 1)
        for e in (self.user, self.game, self.user_bias, self.game_bias):
            nn.init.zeros_(e.weight)

    def forward(self, u, i):
        dot = (self.user(u) * self.game(i)).sum(-1)
        return dot + self.user_bias(u).squeeze(-1) + self.game_bias(i).squeeze(-1)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
