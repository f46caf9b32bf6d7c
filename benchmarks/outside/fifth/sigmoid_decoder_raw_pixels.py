import torch
from sklearn.datasets import load_digits
from torch import nn


def load():
    im = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1)
    return (im * 255 / 16).round()


PICS = load()


class ConvAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.dec = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 2, stride=2), nn.Sigmoid(),
        )

    def forward(self, x):
        return self.dec(self.enc(x))


loss = nn.MSELoss()


def batch():
    x = PICS[torch.randint(0, len(PICS), (64,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
