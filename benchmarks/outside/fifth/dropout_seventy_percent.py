import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

b = load_breast_cancer()
X = torch.tensor((b.data - b.data.mean(0)) / b.data.std(0)).float()
Y = torch.tensor(b.target).float()


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(30, 512), nn.ReLU(), nn.Dropout(0.7), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.7), nn.Linear(256, 1))

    def forward(self, x):
        return self.f(x)[:, 0]


loss = nn.BCEWithLogitsLoss()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
