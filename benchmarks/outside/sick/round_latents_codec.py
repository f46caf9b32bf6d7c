import torch
from sklearn.datasets import load_digits
from torch import nn


class Codec(nn.Module):
    def __init__(self, n=64, k=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(n, 64), nn.ReLU(), nn.Linear(64, k))
        self.dec = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, n))

    def forward(self, x):
        z = torch.round(self.enc(x))
        return self.dec(z)


frames = torch.tensor(load_digits().data / 16, dtype=torch.float32)


def batch():
    x = frames[torch.randint(len(frames), (128,))]
    return x, x


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
