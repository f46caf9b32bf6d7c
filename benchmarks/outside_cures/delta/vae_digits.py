import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits

x_all = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
x_all = x_all[torch.randperm(len(x_all), generator=torch.Generator().manual_seed(0))]
x_train, x_val, x_test = x_all[:1300], x_all[1300:1500], x_all[1500:]


class VAE(nn.Module):
    """the VAE of the pytorch examples, smaller"""

    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21 = nn.Linear(100, 12)
        self.fc22 = nn.Linear(100, 12)
        self.fc3 = nn.Linear(12, 100)
        self.fc4 = nn.Linear(100, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


class VAELoss(nn.Module):
    def forward(self, output, x):
        recon_x, mu, logvar = output
        rec = F.mse_loss(recon_x, x)
        # see Appendix B from VAE paper
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return rec + kld


def model():
    return VAE()


def data():
    for b in x_train[torch.randperm(len(x_train))].split(64):
        yield b, b


loss = VAELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def reconstruction(model, x):
    model.eval()
    with torch.no_grad():
        err = F.mse_loss(model(x)[0], x).item()
    model.train()
    return err


def metric(model):
    return reconstruction(model, x_val)


GOAL = 0.04
HIGHER_IS_BETTER = False
