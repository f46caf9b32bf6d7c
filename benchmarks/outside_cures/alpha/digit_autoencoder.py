import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

imgs = (load_digits().data / 16.0).astype(np.float32)
rng = np.random.RandomState(0)
rng.shuffle(imgs)
train_imgs = torch.from_numpy(imgs[:1300])


def stack(sizes):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(a, b), nn.Sigmoid()]
    return nn.Sequential(*layers)


class AutoEncoder(nn.Module):
    # pixels are in [0, 1]
    def __init__(self, sizes=(64, 56, 48, 32, 16)):
        super().__init__()
        self.encoder = stack(sizes)
        self.decoder = stack(sizes[::-1])

    def forward(self, x):
        return self.decoder(self.encoder(x))


def model():
    return AutoEncoder()


def data():
    for idx in torch.randperm(len(train_imgs)).split(50):
        x = train_imgs[idx]
        yield x, x


def loss(reconstruction, x):
    return ((reconstruction - x) ** 2).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
