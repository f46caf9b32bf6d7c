"""A module in the habit of Lightning users, and the experiment around it."""

import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LitIris(nn.Module):
    def __init__(self, hidden=32, lr=1e-2):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Linear(4, hidden), nn.Hardswish(), nn.Linear(hidden, hidden), nn.Hardswish()
        )
        self.head = nn.Linear(hidden, 3)

    def forward(self, x):
        return self.head(self.net(x))

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Experiment:
    GOAL = 0.95
    HIGHER_IS_BETTER = True

    def __init__(self):
        x, y = load_iris(return_X_y=True)
        self.x = torch.tensor(StandardScaler().fit_transform(x), dtype=torch.float32)
        self.y = torch.tensor(y)

    def model(self):
        return LitIris()

    def data(self):
        return DataLoader(TensorDataset(self.x, self.y), batch_size=30, shuffle=True)

    def loss(self, output, target):
        return nn.functional.cross_entropy(output, target)

    def optimizer(self, model):
        return model.configure_optimizers()

    def metric(self, model):
        return (model(self.x).argmax(1) == self.y).float().mean().item()
