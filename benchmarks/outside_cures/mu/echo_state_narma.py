"""Echo state network on NARMA-10: only the readout learns, the reservoir stays as drawn (Jaeger 2001)."""
import torch
from torch import nn

WASHOUT = 20
T = 60


def narma(n, seed):
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(n, T, generator=g) * 0.5
    y = torch.zeros(n, T + 1)
    for t in range(9, T):
        window = y[:, max(0, t - 9):t + 1].sum(1)
        y[:, t + 1] = 0.3 * y[:, t] + 0.05 * y[:, t] * window + 1.5 * u[:, t - 9] * u[:, t] + 0.1
    return u.unsqueeze(-1), (y[:, 1:] - 0.35) / 0.1


class EchoState(nn.Module):
    def __init__(self, units=150, radius=0.9, scale=0.5):
        super().__init__()
        w = torch.randn(units, units) * (torch.rand(units, units) < 0.1)
        w *= radius / torch.linalg.eigvals(w).abs().max()
        self.register_buffer("w", w)
        self.register_buffer("w_in", (torch.rand(1, units) * 2 - 1) * scale)
        self.register_buffer("b", (torch.rand(units) * 2 - 1) * 0.2)
        self.readout = nn.Sequential(nn.LayerNorm(2 * units), nn.Linear(2 * units, 64), nn.Tanh(), nn.Linear(64, 1))

    @torch.no_grad()
    def states(self, u):
        h = torch.zeros(u.size(0), self.w.size(0))
        out = []
        for t in range(u.size(1)):
            h = torch.tanh(u[:, t] @ self.w_in + h @ self.w + self.b)
            out.append(h)
        h = torch.stack(out, 1)
        return torch.cat([h, h ** 2], -1)

    def forward(self, u):
        return self.readout(self.states(u)[:, WASHOUT:]).squeeze(-1)


U, Y = narma(800, seed=42)


def model():
    return EchoState()


def data():
    for i in torch.randperm(len(U)).split(16):
        yield U[i], Y[i, WASHOUT:]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=2e-3)
