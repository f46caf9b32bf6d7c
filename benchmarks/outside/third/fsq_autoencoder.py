"""Finite scalar quantisation (Mentzer et al. 2023): bounded, rounded latents, straight-through gradient."""
import torch
from sklearn.datasets import load_digits
from torch import nn

PIX = torch.tensor(load_digits().data / 16, dtype=torch.float32)


def round_ste(z):
    return z + (torch.round(z) - z).detach()


class FSQ(nn.Module):
    def __init__(self, dims=10, levels=5):
        super().__init__()
        self.half = (levels - 1) / 2
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, dims))
        self.decoder = nn.Sequential(nn.Linear(dims, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x):
        z = torch.tanh(self.encoder(x)) * self.half
        return self.decoder(round_ste(z) / self.half)


def batch(n=128):
    x = PIX[torch.randint(0, len(PIX), (n,))]
    return x, x


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = FSQ()
    opt = optimizer(m)
    for _ in range(500):
        x, t = batch()
        l = loss(m(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
