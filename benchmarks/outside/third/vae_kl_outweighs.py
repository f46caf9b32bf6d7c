# VAE always outputs the mean digit. Checkpoint of today's run, loss does not move any more
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)


class VAE(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21 = nn.Linear(100, latent)
        self.fc22 = nn.Linear(100, latent)
        self.fc3 = nn.Linear(latent, 100)
        self.fc4 = nn.Linear(100, 64)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decode(z), mu, logvar


def loss(output, x):
    y, mu, logvar = output
    recon = F.mse_loss(y, x)
    kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp(), 1).mean()
    return recon + kl


def batch():
    x = X[torch.randint(len(X), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def trained_vae(steps=1200):
    torch.manual_seed(0)
    vae = VAE()
    opt = optimizer(vae)
    for _ in range(steps):
        x, _ = batch()
        opt.zero_grad()
        loss(vae(x), x).backward()
        opt.step()
    return vae


if __name__ == "__main__":
    vae = trained_vae()
    print("how much the output varies over the inputs:", vae.decode(vae.encode(X)[0]).std(0).mean().item())
