import torch
from sklearn.datasets import load_wine
from torch import nn

frame = load_wine().data
TABLE = torch.tensor(frame).float()


class TableVAE(nn.Module):
    def __init__(self, d=13, z=3, h=32):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


def loss(out, x):
    rec, mu, logvar = out
    kld = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1).mean()
    return ((rec - x) ** 2).sum(1).mean() + kld


def batch():
    x = TABLE[torch.randint(0, len(TABLE), (32,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
