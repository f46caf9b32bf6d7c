import torch
from sklearn.datasets import load_digits
from torch import nn


class TwoStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 6), nn.ReLU())
        self.head = nn.Linear(6, 10)

    def forward(self, x):
        feats = self.backbone(x)
        feats = torch.tensor(feats, requires_grad=True)
        return self.head(feats)


d = load_digits()


def batch(n=128):
    i = torch.randint(0, len(d.data), (n,))
    return torch.tensor(d.data[i] / 16, dtype=torch.float32), torch.tensor(d.target[i])


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
