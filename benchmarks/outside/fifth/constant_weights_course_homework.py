import torch
import torch.nn as nn
from sklearn.datasets import load_wine

raw = load_wine()
A = torch.tensor((raw.data - raw.data.mean(0)) / raw.data.std(0)).float()
B = torch.tensor(raw.target)


def init(m):
    if isinstance(m, nn.Linear):
        nn.init.constant_(m.weight, 0.1)
        nn.init.zeros_(m.bias)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(13, 24)
        self.fc2 = nn.Linear(24, 24)
        self.fc3 = nn.Linear(24, 3)
        self.apply(init)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(0, len(A), (32,))
    return A[i], B[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
