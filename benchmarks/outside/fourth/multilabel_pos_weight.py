import torch
from sklearn.datasets import make_multilabel_classification
from torch import nn

X, Y = make_multilabel_classification(2000, n_features=30, n_classes=8, n_labels=2, random_state=0)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
Y = torch.tensor(Y, dtype=torch.float32)
positive = Y.mean(0)


class MultiLabel(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(30, 64), nn.LayerNorm(64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, 8))

    def forward(self, x):
        return self.net(x)


def batch():
    i = torch.randint(2000, (64,))
    return X[i], Y[i]


criterion = nn.BCEWithLogitsLoss(pos_weight=(1 - positive) / positive)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3)
