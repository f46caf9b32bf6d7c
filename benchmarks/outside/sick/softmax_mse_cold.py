import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class ColdSoftmax(nn.Module):
    def __init__(self, temperature=0.005):
        super().__init__()
        self.temperature = temperature
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        return F.softmax(self.f(x) / self.temperature, dim=-1)


class Digits(torch.utils.data.Dataset):
    def __init__(self):
        d = load_digits()
        self.x = torch.tensor(d.data / 8 - 1, dtype=torch.float32)
        self.y = F.one_hot(torch.tensor(d.target), 10).float()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def data():
    return torch.utils.data.DataLoader(Digits(), batch_size=64, shuffle=True)


def loss(p, onehot):
    return F.mse_loss(p, onehot)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
