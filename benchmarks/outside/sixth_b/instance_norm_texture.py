"""Own instance normalisation (Ulyanov et al.), small classifier of 8x8 digits."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

d = load_digits()
X = torch.tensor(d.images / 16.0, dtype=torch.float32).unsqueeze(1)
y = torch.tensor(d.target)


def instance_norm(x, eps=1e-5):
    mu = x.mean((2, 3), keepdim=True)
    var = x.var((2, 3), unbiased=False, keepdim=True)
    return (x - mu) / torch.sqrt(var + eps)


class StyleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(instance_norm(self.c1(x)))
        x = F.max_pool2d(x, 2)
        x = F.relu(instance_norm(self.c2(x)))
        x = instance_norm(self.c3(x))
        x = x.mean((2, 3))
        return self.fc(x)


def batch():
    idx = torch.randint(0, len(X), (64,))
    return X[idx], y[idx]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
