"""Textbook VAE: binary cross-entropy summed over pixels AND batch, plus KL, Adam 1e-3 (the PyTorch example)."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

data_ = torch.tensor(load_digits().data / 16, dtype=torch.float32)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc21 = nn.Linear(128, 8)
        self.fc22 = nn.Linear(128, 8)
        self.fc3 = nn.Linear(8, 128)
        self.fc4 = nn.Linear(128, 64)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


def loss(out, x):
    recon, mu, logvar = out
    bce = F.binary_cross_entropy(recon, x, reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


def batch(n=128):
    x = data_[torch.randint(0, len(data_), (n,))]
    return x, x


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = VAE()
    opt = optimizer(m)
    for i in range(500):
        x, _ = batch()
        l = loss(m(x), x)
        opt.zero_grad(); l.backward(); opt.step()
    print(l.item() / 128)
