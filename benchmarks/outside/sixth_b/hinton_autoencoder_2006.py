# Deep autoencoder as in Hinton & Salakhutdinov (2006), no RBM pretraining
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

V = torch.tensor(load_digits().data / 16.0).float()


class DeepAutoencoder(nn.Module):
    def __init__(self, sizes=(64, 48, 32, 16, 8)):
        super().__init__()
        full = list(sizes) + list(sizes[-2::-1])
        mods = []
        for a, b in zip(full[:-1], full[1:]):
            lin = nn.Linear(a, b)
            nn.init.normal_(lin.weight, 0.0, 0.1)
            nn.init.zeros_(lin.bias)
            mods += [lin, nn.Sigmoid()]
        self.net = nn.Sequential(*mods)

    def forward(self, v):
        return self.net(v)


model = DeepAutoencoder()


def batch():
    v = V[torch.randperm(len(V))[:100]]
    return v, v


loss = nn.BCELoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
