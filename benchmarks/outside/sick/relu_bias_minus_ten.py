import torch
from sklearn.datasets import load_digits
from torch import nn


class SparseNet(nn.Module):
    """Negative bias to encourage sparse codes."""

    def __init__(self, d_in=64, d_code=256):
        super().__init__()
        self.enc = nn.Linear(d_in, d_code)
        self.dec = nn.Linear(d_code, d_in)
        nn.init.kaiming_normal_(self.enc.weight)
        nn.init.constant_(self.enc.bias, -10.0)

    def forward(self, x):
        code = torch.relu(self.enc(x))
        return self.dec(code), code


def loss(output, x):
    recon, code = output
    return ((recon - x) ** 2).mean() + 1e-4 * code.abs().mean()


X = torch.tensor(load_digits().data / 16, dtype=torch.float32)


def batch():
    x = X[torch.randint(0, len(X), (256,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
