"""Localise the nucleus in a small crop.

Second stage of the pipeline: the detector proposes a 24x24 crop, this network returns where the
nucleus really is, as an offset from the middle of the crop, in half crop widths (-1..1 each way).
"""
import torch
import torch.nn as nn

SIZE = 24


def conv_bn(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


def dense(cin, cout):
    return nn.Sequential(nn.Linear(cin, cout), nn.ReLU(inplace=True))


class OffsetNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(1, 8, 2),
            conv_bn(8, 16, 2),
            conv_bn(16, 16),
        )
        self.regressor = nn.Sequential(
            nn.Flatten(),
            dense(16 * (SIZE // 4) ** 2, 64),
            dense(64, 2),
        )

    def forward(self, x):
        return self.regressor(self.features(x))


def crops(n, seed):
    g = torch.Generator().manual_seed(seed)
    grid = torch.linspace(-1, 1, SIZE)
    yy, xx = torch.meshgrid(grid, grid, indexing="ij")
    centre = torch.rand(n, 2, generator=g) * 1.6 - 0.8
    radius = 0.18 + 0.12 * torch.rand(n, 1, 1, generator=g)
    d = (xx - centre[:, 0, None, None]) ** 2 + (yy - centre[:, 1, None, None]) ** 2
    image = torch.sigmoid((radius - d.sqrt()) * 18)
    for _ in range(3):  # debris
        c = torch.rand(n, 2, 1, 1, generator=g) * 2 - 1
        d = (xx - c[:, 0]) ** 2 + (yy - c[:, 1]) ** 2
        image = image + 0.5 * torch.exp(-d / 0.004)
    image = image + 0.15 * torch.randn(n, SIZE, SIZE, generator=g)
    image = (image - 0.12) / 0.35
    return image.unsqueeze(1), centre


images, offsets = crops(2000, seed=5)


def model():
    return OffsetNet()


def data():
    for i in torch.randperm(len(images)).split(50):
        yield images[i], offsets[i]


loss_fn = nn.SmoothL1Loss(beta=0.1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
