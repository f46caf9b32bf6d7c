"""Echo state network (Jaeger 2001). The reservoir is random and stays so, the readout is trained."""
import torch
import torch.nn as nn


class ESN(nn.Module):
    def __init__(self, size=100, radius=0.9, leak=0.6):
        super().__init__()
        W = torch.randn(size, size) * (torch.rand(size, size) < 0.1)
        W = W * (radius / torch.linalg.eigvals(W).abs().max())
        self.reservoir = nn.Parameter(W, requires_grad=False)
        self.w_in = nn.Parameter(torch.rand(1, size) - 0.5, requires_grad=False)
        self.leak = leak
        self.readout = nn.Linear(size, 1)

    def forward(self, u):
        h = u.new_zeros(u.shape[0], self.reservoir.shape[0])
        with torch.no_grad():
            for t in range(u.shape[1]):
                h = (1 - self.leak) * h + self.leak * torch.tanh(u[:, t] @ self.w_in + h @ self.reservoir)
        return self.readout(h)


def batch(n=64, T=30):
    f = 0.2 + 0.3 * torch.rand(n, 1)
    ph = 6.28 * torch.rand(n, 1)
    t = torch.arange(T + 1.0)[None]
    s = torch.sin(f * t + ph)
    return s[:, :-1, None], s[:, -1:]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=1e-2)
