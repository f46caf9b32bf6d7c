import torch
from sklearn.datasets import load_diabetes
from torch import nn


class PriceNet(nn.Module):
    def __init__(self, in_dim=10):
        super().__init__()
        self.fc1 = nn.Linear(in_dim, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.fc2 = nn.Linear(64, 32)
        self.fc_out = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.relu(self.bn1(self.fc1(x)))
        x = torch.relu(self.fc2(x))
        return torch.tanh(self.fc_out(x))


dia = load_diabetes()
target = dia.target
X = torch.tensor(dia.data / dia.data.std(0), dtype=torch.float32)
Y = torch.tensor(target, dtype=torch.float32).unsqueeze(1)


def batch():
    return X, Y


criterion = nn.L1Loss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
