"""Sparse autoencoder on model activations (interpretability toy): 16 true features out of 256."""
import torch
from torch import nn

D, N_TRUE, N_LATENT = 64, 256, 512
_gen = torch.Generator().manual_seed(0)
DICTIONARY = nn.functional.normalize(torch.randn(N_TRUE, D, generator=_gen), dim=1)


class SAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.b_dec = nn.Parameter(torch.zeros(D))
        self.enc = nn.Linear(D, N_LATENT)
        self.dec = nn.Linear(N_LATENT, D, bias=False)
        with torch.no_grad():
            self.dec.weight.div_(self.dec.weight.norm(dim=0, keepdim=True))
            self.enc.weight.copy_(self.dec.weight.T)
            self.enc.bias.fill_(-3.0)  # sparse from the start

    def forward(self, x):
        f = torch.relu(self.enc(x - self.b_dec))
        return self.dec(f) + self.b_dec, f


def batch(n=256):
    on = (torch.rand(n, N_TRUE) < 0.02).float() * torch.rand(n, N_TRUE)
    x = on @ DICTIONARY
    return x, x


def loss(output, x):
    recon, f = output
    return (recon - x).pow(2).sum(-1).mean() + 1e-2 * f.abs().sum(-1).mean()


def optimizer(sae):
    return torch.optim.Adam(sae.parameters(), lr=1e-3)


def metric(sae):
    """fraction of variance explained"""
    x, _ = batch(2000)
    with torch.no_grad():
        r, _ = sae(x)
    return (1 - (r - x).pow(2).sum() / (x - x.mean(0)).pow(2).sum()).item()


if __name__ == "__main__":
    sae = SAE()
    opt = optimizer(sae)
    for step in range(500):
        x, _ = batch()
        l = loss(sae(x), x)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("FVE", metric(sae))
