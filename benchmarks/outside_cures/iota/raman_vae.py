# Kingma & Welling for our Raman spectra (64 channels after binning)
# adapted from an MNIST notebook, BCE -> MSE because spectra are real valued
import torch
import torch.nn as nn

CH, LATENT = 64, 6
axis = torch.linspace(0, 1, CH)


def spectra(n, seed):
    """three bands that drift and breathe, plus detector noise"""
    g = torch.Generator().manual_seed(seed)
    out = torch.zeros(n, CH)
    for centre in (0.2, 0.5, 0.8):
        pos = centre + 0.08 * (2 * torch.rand(n, 1, generator=g) - 1)
        amp = 0.4 + 1.2 * torch.rand(n, 1, generator=g)
        out += amp * torch.exp(-((axis - pos) ** 2) / (2 * 0.06**2))
    return out + 0.03 * torch.randn(n, CH, generator=g)


train = spectra(2000, 5)
mu_, sd_ = train.mean(), train.std()


def prep(x):
    return (x - mu_) / sd_


train = prep(train)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(CH, 128), nn.ELU(), nn.Linear(128, 64), nn.ELU())
        self.mean = nn.Linear(64, LATENT)
        self.logvar = nn.Linear(64, LATENT)

    def forward(self, x):
        h = self.body(x)
        return self.mean(h), self.logvar(h)


class SpectraVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = Encoder()
        self.dec = nn.Sequential(nn.Linear(LATENT, 64), nn.ELU(), nn.Linear(64, 128), nn.ELU(), nn.Linear(128, CH))

    def sample(self, mean, logvar):
        if not self.training:
            return mean
        std = torch.exp(0.5 * logvar)
        return torch.normal(mean, std)

    def forward(self, x):
        mean, logvar = self.enc(x)
        z = self.sample(mean, logvar)
        return self.dec(z), mean, logvar


def model():
    return SpectraVAE()


def data():
    for i in torch.randperm(len(train)).split(100):
        yield train[i], train[i]


def loss(out, x):
    rec, mean, logvar = out
    rec_err = ((rec - x) ** 2).sum(1).mean()
    kl = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1).mean()
    return rec_err + 0.5 * kl


def optimizer(model):
    return torch.optim.Adam(model.parameters(), 1e-3)
