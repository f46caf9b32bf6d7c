import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from torch import nn


class ResBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1 = nn.Linear(d, d)
        self.fc2 = nn.Linear(d, d)

    def forward(self, x):
        out = F.elu(self.fc1(x))
        out = self.fc2(out)
        return out


class ResMLP(nn.Module):
    def __init__(self, n_features=30, d=48, n_blocks=20):
        super().__init__()
        self.stem = nn.Linear(n_features, d)
        self.blocks = nn.ModuleList([ResBlock(d) for _ in range(n_blocks)])
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.head(x).squeeze(-1)


def batch(seed=0):
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    pick = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))[:256]
    return torch.tensor(x).float()[pick], torch.tensor(y).float()[pick]


loss = F.binary_cross_entropy_with_logits


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
