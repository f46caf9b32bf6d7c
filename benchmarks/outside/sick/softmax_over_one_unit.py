import torch
from sklearn.datasets import load_breast_cancer
from torch import nn


class ChurnNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(30, 64)
        self.drop = nn.Dropout(0.2)
        self.fc2 = nn.Linear(64, 16)
        self.fc3 = nn.Linear(16, 1)

    def forward(self, x):
        x = self.drop(torch.relu(self.fc1(x)))
        x = torch.relu(self.fc2(x))
        return torch.softmax(self.fc3(x), dim=1)


def load():
    x, y = load_breast_cancer(return_X_y=True)
    mean, std = x.mean(axis=0), x.std(axis=0)
    return torch.tensor((x - mean) / std, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def batch():
    x, y = load()
    return x, y.view(-1, 1)


criterion = nn.BCELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
