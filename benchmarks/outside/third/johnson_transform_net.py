import torch
from sklearn.datasets import load_digits
from torch import nn

D = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)[:, None].repeat_interleave(2, 2).repeat_interleave(2, 3)


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.f = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c),
        )

    def forward(self, x):
        return x + self.f(x)


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(m.weight, 0.0, 0.02)
        nn.init.zeros_(m.bias)


def make_generator(c=12):
    g = nn.Sequential(
        nn.Conv2d(1, c, 5, padding=2), nn.InstanceNorm2d(c), nn.ReLU(True),
        nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU(True),
        *[ResBlock(2 * c) for _ in range(3)],
        nn.ConvTranspose2d(2 * c, c, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(c), nn.ReLU(True),
        nn.Conv2d(c, 1, 5, padding=2), nn.Tanh(),
    )
    g.apply(init_weights)
    return g


loss = nn.L1Loss()


def batch():
    x = D[torch.randint(len(D), (8,))]
    return x, -x.transpose(2, 3)  # negative, transposed


def optimizer(g):
    return torch.optim.Adam(g.parameters(), lr=2e-3, betas=(0.5, 0.999))
