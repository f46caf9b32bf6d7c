# sparse autoencoder on digits: start with strongly negative bias so that codes are sparse
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)


class SparseAE(nn.Module):
    def __init__(self, code=128):
        super().__init__()
        self.encoder = nn.Linear(64, code)
        self.decoder = nn.Linear(code, 64)
        nn.init.constant_(self.encoder.bias, -5.0)

    def forward(self, x):
        z = torch.relu(self.encoder(x))
        return self.decoder(z)


def batch():
    x = X[torch.randint(len(X), (64,))]
    return x, x


criterion = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)
