import torch
from torch import nn


class EchoState(nn.Module):
    def __init__(self, n_res=150, rho=0.9, leak=0.6):
        super().__init__()
        W = torch.randn(n_res, n_res) * (torch.rand(n_res, n_res) < 0.1)
        W *= rho / torch.linalg.eigvals(W).abs().max()
        self.register_buffer("W", W)
        self.register_buffer("W_in", torch.rand(n_res, 1) - 0.5)
        self.leak = leak
        self.readout = nn.Linear(n_res, 1)

    def forward(self, u):
        h = u.new_zeros(u.shape[0], self.W.shape[0])
        for t in range(u.shape[1]):
            h = (1 - self.leak) * h + self.leak * torch.tanh(u[:, t] @ self.W_in.T + h @ self.W.T)
        return self.readout(h)


def batch(n=64, length=30):
    phase = 6.28 * torch.rand(n, 1)
    speed = 0.2 + 0.2 * torch.rand(n, 1)
    wave = torch.sin(phase + speed * torch.arange(length + 1)) * 2
    return wave[:, :-1, None], wave[:, -1:]


def loss(out, y):
    return nn.functional.mse_loss(out, y)


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=0.01)
