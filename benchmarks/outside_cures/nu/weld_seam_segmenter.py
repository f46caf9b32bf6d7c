"""U-Net (small) that marks weld seams in X-ray patches. Masks: about 6 % of the pixels."""
import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 24


def synth_xray(n, seed):
    g = torch.Generator().manual_seed(seed)
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    ang = torch.rand(n, 1, 1, generator=g) * 3.1416
    off = torch.rand(n, 1, 1, generator=g) - 0.5
    bend = 0.8 * (torch.rand(n, 1, 1, generator=g) - 0.5)
    along = xx * ang.cos() + yy * ang.sin()
    across = -xx * ang.sin() + yy * ang.cos() - off - bend * along**2
    mask = ((across.abs() < 0.06) & (along.abs() < 0.8)).float()
    shade = 0.4 * torch.rand(n, 1, 1, generator=g) * xx + 0.4 * torch.rand(n, 1, 1, generator=g) * yy
    image = shade + 0.7 * mask + 0.25 * torch.randn(n, SIZE, SIZE, generator=g)
    return image[:, None], mask[:, None]


def conv_relu(i, o, k=3):
    return nn.Sequential(nn.Conv2d(i, o, k, padding=k // 2), nn.ReLU(inplace=True))


class DoubleConv(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(conv_relu(i, o), conv_relu(o, o))


class UNet(nn.Module):
    def __init__(self, c=10):
        super().__init__()
        self.d1 = DoubleConv(1, c)
        self.d2 = DoubleConv(c, 2 * c)
        self.d3 = DoubleConv(2 * c, 3 * c)
        self.u2 = DoubleConv(5 * c, 2 * c)
        self.u1 = DoubleConv(3 * c, c)
        self.mask = conv_relu(c, 1, k=1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        z = self.d3(F.max_pool2d(b, 2))
        b = self.u2(torch.cat([F.interpolate(z, scale_factor=2), b], 1))
        a = self.u1(torch.cat([F.interpolate(b, scale_factor=2), a], 1))
        return torch.sigmoid(self.mask(a))


IMAGES, MASKS = synth_xray(640, seed=60)


def model():
    return UNet()


def data():
    for i in torch.randperm(len(IMAGES)).split(16):
        yield IMAGES[i], MASKS[i]


loss = nn.BCELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
