# Small U-Net for fluorescence cells -> masks.
# Adapted from the usual DoubleConv / Down / Up tutorial, shrunk so it runs on my laptop.
import torch
import torch.nn as nn

SIZE = 24


def synth_cells(n, seed):
    g = torch.Generator().manual_seed(seed)
    yy, xx = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    imgs, masks = [], []
    for _ in range(n):
        mask = torch.zeros(SIZE, SIZE)
        for _ in range(int(torch.randint(1, 4, (1,), generator=g))):
            cy, cx = (torch.rand(2, generator=g) * SIZE).tolist()
            r = 2.0 + 2.0 * torch.rand(1, generator=g).item()
            mask[((yy - cy) ** 2 + (xx - cx) ** 2) < r * r] = 1.0
        shade = 0.5 * torch.rand(1, generator=g) * xx / SIZE
        img = mask * 0.8 + shade + 0.35 * torch.randn(SIZE, SIZE, generator=g)
        imgs.append(img)
        masks.append(mask)
    return torch.stack(imgs)[:, None], torch.stack(masks)[:, None]


X, M = synth_cells(400, 0)
X_val, M_val = synth_cells(100, 1)
mean, std = X.mean(), X.std()
X, X_val = (X - mean) / std, (X_val - mean) / std


class ConvBlock(nn.Module):
    """conv => BN => ReLU"""

    def __init__(self, cin, cout, k=3):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, k, padding=k // 2, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.inc = nn.Sequential(ConvBlock(1, c), ConvBlock(c, c))
        self.down1 = nn.Sequential(nn.MaxPool2d(2), ConvBlock(c, 2 * c), ConvBlock(2 * c, 2 * c))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), ConvBlock(2 * c, 2 * c))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv1 = ConvBlock(4 * c, c)
        self.conv2 = ConvBlock(2 * c, c)
        self.outc = ConvBlock(c, 1, k=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        y = self.conv1(torch.cat([self.up(x3), x2], 1))
        y = self.conv2(torch.cat([self.up(y), x1], 1))
        return self.outc(y)


criterion = nn.BCEWithLogitsLoss()
loss = criterion


def model():
    return UNet()


def data():
    for b in torch.randperm(len(X)).split(16):
        yield X[b], M[b]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
