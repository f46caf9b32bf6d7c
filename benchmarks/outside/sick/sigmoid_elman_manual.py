import torch
from torch import nn


class SigmoidRNN(nn.Module):
    def __init__(self, n_in=1, hidden=32):
        super().__init__()
        self.hidden = hidden
        self.p = nn.ParameterDict(
            {
                "Wx": nn.Parameter(torch.randn(n_in, hidden) * 0.3),
                "Wh": nn.Parameter(torch.randn(hidden, hidden) / hidden**0.5),
                "b": nn.Parameter(torch.zeros(hidden)),
                "Wy": nn.Parameter(torch.randn(hidden, 1) * 0.1),
                "c": nn.Parameter(torch.zeros(1)),
            }
        )

    def forward(self, x):
        p = self.p
        h = torch.zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            h = torch.sigmoid(x[:, t] @ p["Wx"] + h @ p["Wh"] + p["b"])
        return h @ p["Wy"] + p["c"]


def batch(n=64, T=40):
    x = torch.zeros(n, T, 1)
    height = torch.rand(n, 1) * 2
    x[:, 0] = height
    return x, height


def loss(y, t):
    return (y - t).square().mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
