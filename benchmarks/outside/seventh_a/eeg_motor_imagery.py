"""Left/right hand motor imagery, 8 channels, 2 s epochs at 64 Hz."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

FS, N_T, N_CH = 64, 128, 8


def simulate_epochs(n=600, rng=np.random.default_rng(7)):
    t = np.arange(N_T) / FS
    y = rng.integers(0, 2, n)
    X = rng.normal(0, 6e-6, (n, N_CH, N_T))
    for i in range(n):
        ph = rng.uniform(0, 2 * np.pi)
        mu = 14e-6 * np.sin(2 * np.pi * 10.5 * t + ph)
        ch = (1, 2) if y[i] == 0 else (5, 6)      # C4 / C3 desynchronise
        for c in ch:
            X[i, c] += mu
    return X.astype("float32"), y


X, y = simulate_epochs()
X_train, y_train = torch.from_numpy(X), torch.from_numpy(y).long()


class ShallowEEG(nn.Module):
    def __init__(self):
        super().__init__()
        self.temporal = nn.Conv1d(N_CH, 24, 15, padding=7)
        self.spatial = nn.Conv1d(24, 24, 9, padding=4)
        self.pool = nn.AvgPool1d(8)
        self.fc1 = nn.Linear(24 * 16, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.elu(self.temporal(x))
        x = F.elu(self.spatial(x))
        x = self.pool(x ** 2)
        x = F.elu(self.fc1(x.flatten(1)))
        return self.fc2(x)


criterion = nn.CrossEntropyLoss()


def batch():
    idx = torch.randperm(len(X_train))[:32]
    return X_train[idx], y_train[idx]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
