import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

IMAGES = torch.tensor(load_digits().data / 16, dtype=torch.float32)


class AE(nn.Module):
    def __init__(self, z=12):
        super().__init__()
        self.e1 = nn.Linear(64, 48)
        self.e2 = nn.Linear(48, z)
        self.d1 = nn.Linear(z, 48)
        self.d2 = nn.Linear(48, 64)

    def encode(self, x):
        return self.e2(F.elu(self.e1(x)))

    def decode(self, z):
        return torch.sigmoid(self.d2(F.elu(self.d1(z))))

    def forward(self, x):
        return self.decode(self.encode(x))


def loss(output, target):
    # summed over pixels AND batch, as in the original VAE example
    return F.binary_cross_entropy(output, target, reduction="sum")


def batch():
    x = IMAGES[torch.randperm(len(IMAGES))[:100]]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
