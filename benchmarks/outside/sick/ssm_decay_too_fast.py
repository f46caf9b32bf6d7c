import torch
from torch import nn


class DiagonalSSM(nn.Module):
    def __init__(self, d_in=1, n_state=64, d_out=4):
        super().__init__()
        self.log_a = nn.Parameter(torch.full((n_state,), 1.1) + 0.1 * torch.randn(n_state))
        self.B = nn.Linear(d_in, n_state)
        self.C = nn.Linear(n_state, 64)
        self.out = nn.Linear(64, d_out)

    def forward(self, u):
        a = torch.exp(-torch.exp(self.log_a))
        s = torch.zeros(u.shape[0], a.numel())
        for t in range(u.shape[1]):
            s = a * s + self.B(u[:, t])
        return self.out(torch.nn.functional.gelu(self.C(s)))


def batch(n=64, T=50):
    """Classes differ in the level of the first ten samples only."""
    y = torch.randint(0, 4, (n,))
    u = 0.3 * torch.randn(n, T, 1)
    u[:, :10, 0] += (y.float() - 1.5)[:, None]
    return u, y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
