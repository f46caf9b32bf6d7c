import torch
from sklearn.datasets import make_moons
from torch import nn


class Switch(nn.Module):
    def __init__(self, steep):
        super().__init__()
        self.steep = steep

    def forward(self, x):
        return torch.sigmoid(self.steep * x)


class SteepNet(nn.Module):
    """Soft decision rules: the steeper the sigmoid the crisper the rule."""

    def __init__(self, steep=2000.0):
        super().__init__()
        self.rules = nn.Sequential(
            nn.Linear(2, 10),
            Switch(steep),
            nn.Linear(10, 8),
            Switch(steep),
            nn.Linear(8, 6),
            Switch(steep),
        )
        for m in self.rules:
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight)
        self.vote = nn.Linear(6, 1)

    def forward(self, x):
        return self.vote(self.rules(x)).squeeze(-1)


moons, side = make_moons(600, noise=0.08, random_state=1)
moons = torch.tensor(moons * 3, dtype=torch.float32)
side = torch.tensor(side, dtype=torch.float32)


def batch():
    i = torch.randint(600, (128,))
    return moons[i], side[i]


def loss(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z, y)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=0.003)
