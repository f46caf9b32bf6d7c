import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight, 0.0, 1.0)


class Generator(nn.Module):
    """Decoder of the digits, trained on fixed latent vectors (GLO)."""

    def __init__(self, nz=16, ngf=16):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 4, 2, 1, 0),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, 1, 4, 2, 1),
            nn.Tanh(),
        )
        self.apply(weights_init)

    def forward(self, z):
        return self.main(z[:, :, None, None])


_imgs = torch.tensor(load_digits().images[:200] / 8 - 1, dtype=torch.float32)[:, None]
_z = torch.randn(200, 16, generator=torch.Generator().manual_seed(0))


def batch(n=64):
    i = torch.randint(0, 200, (n,))
    return _z[i], _imgs[i]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))
