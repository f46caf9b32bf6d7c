import torch
from torch import nn


def simulate(n, seed):
    """Composition and heat treatment of a batch of steel -> strength, standardised."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 7, generator=g)
    s = (
        1.2 * x[:, 0]
        - 0.9 * x[:, 1] * x[:, 2]
        + torch.sin(2 * x[:, 3])
        + 0.7 * (x[:, 4].abs() - 0.8)
        + 0.4 * x[:, 5]
        + 0.1 * torch.randn(n, generator=g)
    )
    return x, (s / 1.75).unsqueeze(1)


X, Y = simulate(3000, seed=5)


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.lin = nn.Linear(n_in, n_out)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.lin(x))


class StrengthNet(nn.Module):
    def __init__(self, widths=(7, 96, 96, 48, 1)):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(a, b) for a, b in zip(widths, widths[1:])])

    def forward(self, x):
        return self.blocks(x)


def model():
    return StrengthNet()


def data():
    order = torch.randperm(len(X))
    for i in range(0, len(X), 100):
        yield X[order[i : i + 100]], Y[order[i : i + 100]]


criterion = nn.MSELoss()
loss = criterion


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
