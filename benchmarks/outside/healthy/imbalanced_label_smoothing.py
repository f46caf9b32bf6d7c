"""Fraud-like data: three classes at 90/8/2 per cent, class weights and label smoothing."""

import torch
from sklearn.datasets import make_classification
from torch import nn

X, Y = make_classification(
    4000, 20, n_informative=12, n_classes=3, weights=[0.9, 0.08, 0.02], random_state=5
)
X = torch.tensor(X / X.std(0), dtype=torch.float32)
Y = torch.tensor(Y)
freq = torch.bincount(Y).float() / len(Y)
inv = freq**-0.5
criterion = nn.CrossEntropyLoss(weight=inv / inv.mean(), label_smoothing=0.05)


class FraudNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(20, 64),
            nn.BatchNorm1d(64),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.3),
            nn.Linear(64, 32),
            nn.BatchNorm1d(32),
            nn.LeakyReLU(0.1),
            nn.Linear(32, 3),
        )

    def forward(self, x):
        return self.layers(x)


def data():
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(X, Y), batch_size=256, shuffle=True, drop_last=True
    )


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
