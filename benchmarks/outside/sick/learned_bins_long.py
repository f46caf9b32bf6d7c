import torch
from torch import nn


class BinnedModel(nn.Module):
    """Step function with learned borders and learned heights."""

    def __init__(self, n_bins=6):
        super().__init__()
        self.borders = nn.Parameter(torch.linspace(-0.2, 0.2, n_bins - 1))
        self.value = nn.Embedding(n_bins, 1)

    def forward(self, x):
        idx = (x[:, None] > self.borders).sum(1).long()
        return self.value(idx).squeeze(1)


def batch(n=512):
    x = torch.rand(n) * 4 - 2
    return x, torch.floor(x * 1.2)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-2)
