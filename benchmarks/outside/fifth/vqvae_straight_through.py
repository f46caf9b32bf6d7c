import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

IMG = torch.tensor(load_digits().images / 16.0, dtype=torch.float32).unsqueeze(1)


class VQVAE(nn.Module):
    def __init__(self, K=32, d=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, d, 3, padding=1))
        self.codebook = nn.Embedding(K, d)
        nn.init.uniform_(self.codebook.weight, -0.3, 0.3)
        self.dec = nn.Sequential(nn.Conv2d(d, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1))

    def forward(self, x):
        z = self.enc(x).permute(0, 2, 3, 1)
        dist = torch.cdist(z.flatten(0, 2).detach(), self.codebook.weight.detach())
        q = self.codebook(dist.argmin(1)).view_as(z)
        extra = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        q = z + (q - z).detach()
        return self.dec(q.permute(0, 3, 1, 2)), extra


def loss(out, x):
    recon, extra = out
    return F.mse_loss(recon, x) + extra


def batch():
    x = IMG[torch.randint(0, len(IMG), (64,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
