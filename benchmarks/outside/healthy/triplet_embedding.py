"""FaceNet-style triplets of digits; many triplets are already satisfied (zero loss)."""

import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
Y = torch.tensor(load_digits().target)


class Embedder(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 128), nn.PReLU(), nn.Linear(128, d))

    def forward(self, x):
        return nn.functional.normalize(self.net(x), dim=-1)


class Triplets(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = Embedder()

    def forward(self, anchor, positive, negative):
        return self.embed(anchor), self.embed(positive), self.embed(negative)


def batch(n=128):
    a = torch.randint(len(X), (n,))
    w = (Y[None] == Y[a][:, None]).float()
    p = torch.multinomial(w, 1).squeeze(1)
    q = torch.multinomial(1 - w, 1).squeeze(1)
    return (X[a], X[p], X[q]), Y[a]


def loss(output, target):
    return nn.functional.triplet_margin_loss(*output, margin=0.5)


def model():
    return Triplets()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
