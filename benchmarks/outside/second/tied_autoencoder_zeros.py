import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader

X = torch.tensor(load_digits().data, dtype=torch.float32) / 16
X = X - X.mean(0)


class TiedAE(nn.Module):
    """PCA by gradient descent: one matrix down, its transpose up."""

    def __init__(self, n_in=64, n_code=12):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_code, n_in))

    def forward(self, x):
        code = nn.functional.linear(x, self.W)
        return nn.functional.linear(code, self.W.T)


def collate(rows):
    x = torch.stack(rows)
    return x, x


data = DataLoader(X, batch_size=128, shuffle=True, collate_fn=collate)


def loss(recon, x):
    return ((recon - x) ** 2).sum(1).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
