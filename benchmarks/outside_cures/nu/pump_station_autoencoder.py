"""
Condition monitoring, pump station 4.
Autoencoder on 24 standardised channels; the reconstruction error is the anomaly score.
Architecture taken over from the image prototype of the innovation team.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

CHANNELS = 24
OPTIM = dict(lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05)  # from the team's YAML

g = torch.Generator().manual_seed(404)
MIX_1 = torch.randn(4, 30, generator=g)
MIX_2 = torch.randn(30, CHANNELS, generator=g) / 30 ** 0.5


def simulate(n):
    state = torch.randn(n, 4, generator=g)  # load, speed, inlet pressure, temperature
    raw = torch.tanh(0.8 * state @ MIX_1) @ MIX_2 + 0.05 * torch.randn(n, CHANNELS, generator=g)
    return raw


_train = simulate(4096)
MU, SD = _train.mean(0), _train.std(0)
TRAIN = (_train - MU) / SD
TEST = (simulate(1024) - MU) / SD


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(CHANNELS, 96)
        self.fc2 = nn.Linear(96, 48)
        self.fc3 = nn.Linear(48, 24)
        self.fc4 = nn.Linear(24, 6)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        x = F.relu(self.fc3(x))
        return self.fc4(x)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 24)
        self.fc2 = nn.Linear(24, 48)
        self.fc3 = nn.Linear(48, 96)
        self.fc4 = nn.Linear(96, CHANNELS)

    def forward(self, z):
        z = F.relu(self.fc1(z))
        z = F.relu(self.fc2(z))
        z = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(z))


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, x):
        return self.decoder(self.encoder(x))


def model():
    return AutoEncoder()


data = [(x, x) for x in TRAIN.split(128)]
loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), **OPTIM)
