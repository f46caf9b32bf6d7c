import torch
from torch import nn
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

table = load_digits()  # 64 numeric columns, 10 classes
features = torch.tensor(StandardScaler().fit_transform(table.data), dtype=torch.float32)
target = torch.tensor(table.target)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.lin2(torch.relu(self.lin1(x)))


class TabResNet(nn.Module):
    """FT-paper baseline (Gorishniy et al. 2021)"""

    def __init__(self, d=32, n=2):
        super().__init__()
        self.first = nn.Linear(64, d)
        self.blocks = nn.Sequential(*[Block(d) for _ in range(n)])
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        return self.head(self.blocks(self.first(x)))


def batch():
    rows = torch.randint(0, len(features), (64,))
    return features[rows], target[rows]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.5)
