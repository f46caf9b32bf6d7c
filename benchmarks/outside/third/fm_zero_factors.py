"""Factorisation machine (Rendle 2010) for click-through; everything starts from zero like the bias."""
import torch
from torch import nn

N_USERS, N_ADS, K = 30, 30, 8
_g = torch.Generator().manual_seed(5)
TRUE_U = torch.randn(N_USERS, 2, generator=_g)
TRUE_A = torch.randn(N_ADS, 2, generator=_g)


class FactorisationMachine(nn.Module):
    def __init__(self, n_features, k):
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(1))
        self.w = nn.Parameter(torch.zeros(n_features))
        self.v = nn.Parameter(torch.zeros(n_features, k))

    def forward(self, x):
        linear = x @ self.w
        square_of_sum = (x @ self.v).pow(2)
        sum_of_square = x.pow(2) @ self.v.pow(2)
        return self.w0 + linear + 0.5 * (square_of_sum - sum_of_square).sum(1)


def click_model():
    return FactorisationMachine(N_USERS + N_ADS, K)


def batch(n=256):
    u = torch.randint(0, N_USERS, (n,))
    a = torch.randint(0, N_ADS, (n,))
    x = torch.cat([nn.functional.one_hot(u, N_USERS), nn.functional.one_hot(a, N_ADS)], 1).float()
    return x, ((TRUE_U[u] * TRUE_A[a]).sum(1) > 0).float()


loss_fn = nn.BCEWithLogitsLoss()


def optimizer(fm):
    return torch.optim.Adam(fm.parameters(), lr=0.02)


def metric(fm):
    x, y = batch(2000)
    with torch.no_grad():
        return ((fm(x) > 0).float() == y).float().mean().item()


if __name__ == "__main__":
    fm = click_model()
    opt = optimizer(fm)
    for i in range(400):
        x, y = batch()
        l = loss_fn(fm(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), metric(fm))
