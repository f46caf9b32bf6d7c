"""MLP-Mixer with ReZero branches (Bachlechner et al. 2020): x + alpha * f(x), alpha = 0 at the start. No norm anywhere."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

bunch = load_digits()
X = torch.from_numpy(bunch.images).float() / 8 - 1
Y = torch.from_numpy(bunch.target)
split = torch.randperm(len(X), generator=torch.Generator().manual_seed(99))
TRAIN, VAL = split[:1300], split[1300:]


class ReZero(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn, self.alpha = fn, nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.alpha * self.fn(x)


class Transpose(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


def mlp(d, mult=2):
    return nn.Sequential(nn.Linear(d, mult * d), nn.GELU(), nn.Linear(mult * d, d))


class Mixer(nn.Module):
    def __init__(self, dim=32, depth=20, patches=16):
        super().__init__()
        self.stem = nn.Conv2d(1, dim, 2, stride=2)
        self.blocks = nn.Sequential(*[
            m for _ in range(depth)
            for m in (ReZero(nn.Sequential(Transpose(), mlp(patches), Transpose())), ReZero(mlp(dim)))
        ])
        self.head = nn.Linear(dim, 10)

    def forward(self, img):
        x = self.stem(img.unsqueeze(1)).flatten(2).transpose(1, 2)
        return self.head(self.blocks(x).mean(1))


def model():
    return Mixer()


def data():
    order = TRAIN[torch.randperm(len(TRAIN))]
    return [(X[i], Y[i]) for i in order.split(50)]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
