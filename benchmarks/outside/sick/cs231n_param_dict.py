import torch
from sklearn.datasets import load_digits
from torch import nn


class TenLayerNet(nn.Module):
    """Fully connected net, weights kept by hand as in the assignment."""

    def __init__(self, dims=(64, 100, 100, 100, 100, 100, 100, 100, 100, 10)):
        super().__init__()
        self.params = nn.ParameterDict()
        self.L = len(dims) - 1
        for i, (n_in, n_out) in enumerate(zip(dims[:-1], dims[1:]), start=1):
            self.params[f"W{i}"] = nn.Parameter(0.01 * torch.randn(n_in, n_out))
            self.params[f"b{i}"] = nn.Parameter(torch.zeros(n_out))

    def forward(self, X):
        h = X
        for i in range(1, self.L):
            h = (h @ self.params[f"W{i}"] + self.params[f"b{i}"]).clamp(min=0)
        return h @ self.params[f"W{self.L}"] + self.params[f"b{self.L}"]


def batch():
    X, y = load_digits(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32)
    X = (X - X.mean(0)) / (X.std(0) + 1e-6)
    return X[:500], torch.tensor(y[:500])


def loss(scores, y):
    shifted = scores - scores.max(dim=1, keepdim=True).values
    logp = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    return -logp[torch.arange(len(y)), y].mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-1)
