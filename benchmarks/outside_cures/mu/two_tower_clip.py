"""Mini-CLIP: a sensor tower and a caption-vector tower, trained with the symmetric loss of Fig. 3."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

LATENT, D_SENSOR, D_TEXT = 10, 64, 40

_g = torch.Generator().manual_seed(5)
_MIX_A = torch.randn(LATENT, D_SENSOR, generator=_g)
_MIX_B = torch.randn(LATENT, D_TEXT, generator=_g)


def make_pairs(n, seed):
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, LATENT, generator=g)
    sensor = torch.tanh(z @ _MIX_A * 0.5) + 0.1 * torch.randn(n, D_SENSOR, generator=g)
    text = torch.sin(z @ _MIX_B * 0.4) + 0.1 * torch.randn(n, D_TEXT, generator=g)
    return sensor, text


class Tower(nn.Module):
    def __init__(self, d_in, d_out=32, width=128):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(d_in, width), nn.LayerNorm(width), nn.GELU(),
            nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(),
            nn.Linear(width, d_out),
        )

    def forward(self, x):
        return F.normalize(self.net(x), dim=-1)


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.image = Tower(D_SENSOR)
        self.text = Tower(D_TEXT)
        # learned temperature, initialised at 0.07 as in the paper
        self.logit_scale = nn.Parameter(torch.ones([]) * np.log(0.07))

    def forward(self, image, text):
        return self.logit_scale.exp() * self.image(image) @ self.text(text).t()


SENSOR, TEXT = make_pairs(4096, seed=1)


def model():
    return TwoTower()


def data():
    while True:
        i = torch.randint(0, len(SENSOR), (64,))
        yield (SENSOR[i], TEXT[i]), torch.arange(64)


def loss(logits, labels):
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-5)
