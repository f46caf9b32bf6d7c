import torch
from sklearn.datasets import load_digits
from torch import nn

digits = torch.tensor(load_digits().data / 16, dtype=torch.float32)


class Barlow(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 48)
        )
        self.projector = nn.Sequential(
            nn.Linear(48, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 32)
        )
        self.bn = nn.BatchNorm1d(32, affine=False)

    def forward(self, views):
        a, b = (self.bn(self.projector(self.encoder(v))) for v in views.unbind(1))
        return a.T @ b / len(a)


def augment(x):
    return x * (torch.rand_like(x) > 0.2) + 0.1 * torch.randn_like(x)


def batch(n=128):
    x = digits[torch.randint(len(digits), (n,))]
    return torch.stack([augment(x), augment(x)], 1), torch.eye(32)


def loss(corr, eye):
    diff = (corr - eye) ** 2
    return (diff * (eye + 0.01 * (1 - eye))).sum()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3, weight_decay=1e-6)
