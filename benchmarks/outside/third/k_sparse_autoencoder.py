import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
mean = X.mean(0)


class KSparse(nn.Module):
    def __init__(self, hidden=100, k=10):
        super().__init__()
        self.k = k
        self.enc = nn.Linear(64, hidden)
        self.dec = nn.Linear(hidden, 64)

    def forward(self, x):
        h = self.enc(x)
        top = h.topk(self.k, dim=1)
        z = torch.zeros_like(h).scatter(1, top.indices, top.values)
        return self.dec(z)


loss = nn.MSELoss()


def batch():
    x = X[torch.randint(len(X), (128,))] - mean
    return x, x


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)
