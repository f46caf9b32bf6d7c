# Sparse autoencoder on 8x8 digits. The negative bias is what makes the code sparse.
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

x_all = torch.tensor(load_digits().data, dtype=torch.float32) / 16
x_all = x_all - x_all.mean(0)
ids = torch.randperm(len(x_all), generator=torch.Generator().manual_seed(0))
x_train, x_val, x_test = x_all[ids[:1200]], x_all[ids[1200:1500]], x_all[ids[1500:]]


class SparseAE(nn.Module):
    def __init__(self, n=64, code=128, threshold=3.0):
        super().__init__()
        self.enc1 = nn.Linear(n, 96)
        self.enc2 = nn.Linear(96, code)
        self.dec1 = nn.Linear(code, 96)
        self.dec2 = nn.Linear(96, n)
        nn.init.constant_(self.enc2.bias, -threshold)

    def forward(self, x):
        z = F.relu(self.enc2(F.relu(self.enc1(x))))
        return self.dec2(F.relu(self.dec1(z)))


def model():
    return SparseAE()


def data():
    for b in torch.randperm(len(x_train)).split(60):
        yield x_train[b], x_train[b]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    "mean squared error per pixel"
    model.eval()
    with torch.no_grad():
        e = F.mse_loss(model(x_val), x_val).item()
    model.train()
    return e


GOAL = 0.045
HIGHER_IS_BETTER = False
