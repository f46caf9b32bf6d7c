# two heads, losses collected in a list for the progress bar and summed at the end
import torch
from sklearn.datasets import make_regression
from torch import nn

X, Y = make_regression(1500, 12, n_informative=8, n_targets=2, noise=1.0, random_state=2)
X = torch.tensor(X, dtype=torch.float32)
Y = torch.tensor((Y - Y.mean(0)) / Y.std(0), dtype=torch.float32)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 64), nn.ReLU())
        self.head_a = nn.Linear(64, 1)
        self.head_b = nn.Linear(64, 1)

    def forward(self, x):
        h = self.body(x)
        return torch.cat([self.head_a(h), self.head_b(h)], dim=1)


def loss(output, target):
    parts = []
    for k in range(2):
        parts.append(nn.functional.mse_loss(output[:, k], target[:, k]).item())
    return torch.tensor(parts, requires_grad=True).sum()


def batch():
    i = torch.randint(0, 1500, (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
