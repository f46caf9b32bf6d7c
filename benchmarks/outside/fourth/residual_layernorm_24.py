# tabular ResNet (pre-norm), 24 blocks
import torch
from sklearn.datasets import make_friedman3
from torch import nn

X, y = make_friedman3(3000, noise=0.05, random_state=0)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)[:, None]


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))

    def forward(self, x):
        return x + self.f(x)


class TabResNet(nn.Module):
    def __init__(self, d=48, blocks=24):
        super().__init__()
        self.stem = nn.Linear(4, d)
        self.blocks = nn.Sequential(*[Block(d) for _ in range(blocks)])
        self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 1))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


def batch():
    i = torch.randint(3000, (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-4)
