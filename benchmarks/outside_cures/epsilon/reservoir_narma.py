"""Echo state network on NARMA-10. Only the readout learns; the reservoir is drawn once and stays."""
import torch
from torch import nn


def narma(n, seed):
    g = torch.Generator().manual_seed(seed)
    u = 0.5 * torch.rand(n, generator=g)
    ul = u.tolist()
    y = [0.0] * n
    for t in range(10, n - 1):
        v = 0.3 * y[t] + 0.05 * y[t] * sum(y[t - 9 : t + 1]) + 1.5 * ul[t - 9] * ul[t] + 0.1
        y[t + 1] = min(v, 1.0)
    return u, torch.tensor(y)


WINDOW = 30


def samples(n, seed):
    u, y = narma(n + WINDOW + 50, seed)
    u, y = u[50:], y[50:]
    w = u.unfold(0, WINDOW, 1)[:n]
    # inputs up to t-1 explain y[t]
    return w.contiguous(), y[WINDOW : WINDOW + n, None]


class EchoState(nn.Module):
    def __init__(self, size=120, radius=0.9):
        super().__init__()
        W = torch.randn(size, size)
        W = W * (radius / torch.linalg.eigvals(W).abs().max())
        self.w_res = nn.Parameter(W, requires_grad=False)
        self.w_in = nn.Parameter(torch.rand(size) - 0.5, requires_grad=False)
        self.bias = nn.Parameter(0.4 * torch.rand(size) - 0.2, requires_grad=False)
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.readout = nn.Linear(size, 1)

    def forward(self, u):
        with torch.no_grad():
            h = u.new_zeros(len(u), len(self.w_in))
            for t in range(u.shape[1]):
                h = torch.tanh(h @ self.w_res + (u[:, t : t + 1] - 0.25) * self.w_in + self.bias)
        return self.readout(self.norm(h))


U, Y = samples(2000, 0)
VAL_U, VAL_Y = samples(400, 1)


def model():
    return EchoState()


def data():
    for i in torch.randperm(len(U)).split(100):
        yield U[i], Y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=0.003)


def metric(model):
    """normalised root mean squared error"""
    model.eval()
    with torch.no_grad():
        e = (model(VAL_U) - VAL_Y).pow(2).mean().sqrt() / VAL_Y.std()
    model.train()
    return e.item()


GOAL = 0.7
HIGHER_IS_BETTER = False
