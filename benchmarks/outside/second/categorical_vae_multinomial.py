import torch
import torch.nn.functional as F
from sklearn.datasets import make_blobs
from torch import nn

blobs, _ = make_blobs(800, n_features=10, centers=8, cluster_std=0.4, random_state=2)
blobs = torch.tensor((blobs - blobs.mean(0)) / blobs.std(0), dtype=torch.float32)


class DiscreteVAE(nn.Module):
    def __init__(self, n_symbols=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, n_symbols))
        self.codebook = nn.Embedding(n_symbols, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 10))

    def forward(self, x):
        logits = self.encoder(x)
        symbol = torch.multinomial(logits.softmax(-1), 1).squeeze(1)
        return self.decoder(self.codebook(symbol))


def batch():
    x = blobs[torch.randint(len(blobs), (128,))]
    return x, x


def loss(recon, x):
    return F.mse_loss(recon, x)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)
