import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

b = load_breast_cancer()
X = torch.tensor(StandardScaler().fit_transform(b.data), dtype=torch.float32)
y = torch.tensor(b.target, dtype=torch.float32)


class WideDeep(nn.Module):
    def __init__(self, n=30):
        super().__init__()
        self.wide = nn.Linear(n * 2, 1)
        self.deep = nn.Sequential(nn.Linear(n, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        cross = torch.cat([x, x * x.roll(1, 1)], 1)
        return (self.wide(cross) + self.deep(x)).squeeze(1)


criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.6))


def batch():
    i = torch.randint(len(X), (48,))
    return X[i], y[i]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3, weight_decay=1e-5)
