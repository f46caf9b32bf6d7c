import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class VQVAE(nn.Module):
    def __init__(self, K=32, d=8, groups=4):
        super().__init__()
        self.d, self.groups = d, groups
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, groups * d))
        self.codebook = nn.Embedding(K, d)
        self.decoder = nn.Sequential(nn.Linear(groups * d, 128), nn.ReLU(), nn.Linear(128, 64))
        nn.init.normal_(self.codebook.weight, std=0.3)

    def forward(self, x):
        z = self.encoder(x)
        flat = z.reshape(-1, self.d)
        idx = torch.cdist(flat, self.codebook.weight).argmin(dim=1)
        z_q = self.codebook(idx).reshape(len(x), self.groups * self.d)
        return self.decoder(z_q)


X = torch.tensor(load_digits().data / 16).float()


def batch():
    x = X[torch.randint(0, len(X), (128,))]
    return x, x


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
