import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits

# 8 bit grey values
images = torch.tensor(load_digits().images * 255.0 / 16.0, dtype=torch.float32)


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 400)
        self.fc21 = nn.Linear(400, 20)
        self.fc22 = nn.Linear(400, 20)
        self.fc3 = nn.Linear(20, 400)
        self.fc4 = nn.Linear(400, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.fc4(F.relu(self.fc3(z))), mu, logvar


def loss(output, x):
    recon, mu, logvar = output
    MSE = F.mse_loss(recon, x.view(-1, 64), reduction='sum')
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (MSE + KLD) / len(x)


def batch():
    x = images[torch.randint(0, len(images), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
