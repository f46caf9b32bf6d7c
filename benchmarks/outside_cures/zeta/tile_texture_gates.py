# tiles.py -- texture grading of ceramic tiles (4 grades), 16x16 crops
#
# backbone: a stack of identical cells, each 3x3 conv -> relu -> channel attention
# (squeeze and excite), as tried by J. in the autumn
import math
import torch, torch.nn as nn, torch.nn.functional as F

CELLS = 10
CH = 16


def crops(n, seed):
    g = torch.Generator().manual_seed(seed)
    yy, xx = torch.meshgrid(torch.arange(16.), torch.arange(16.), indexing="ij")
    label = torch.randint(0, 4, (n,), generator=g)
    ang = label * math.pi / 4 + 0.15 * torch.randn(n, generator=g)
    freq = 1.0 + 0.4 * torch.rand(n, generator=g)
    ph = 2 * math.pi * torch.rand(n, generator=g)
    v = (lambda t: t[:, None, None])
    img = torch.sin(v(freq) * (v(ang.cos()) * xx + v(ang.sin()) * yy) + v(ph))
    img = img + 0.7 * torch.randn(n, 16, 16, generator=g)
    return img.unsqueeze(1), label


class ChannelAttention(nn.Module):
    def __init__(self, c, r=4):
        super().__init__()
        self.a = nn.Conv2d(c, c // r, 1)
        self.b = nn.Conv2d(c // r, c, 1)

    def forward(self, x):
        w = x.mean((2, 3), keepdim=True)
        w = torch.sigmoid(self.b(F.relu(self.a(w))))
        return x * w


class Cell(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride, 1)
        self.att = ChannelAttention(cout)

    def forward(self, x):
        return self.att(F.relu(self.conv(x)))


class TileNet(nn.Module):
    def __init__(self):
        super().__init__()
        cells = [Cell(1, CH)]
        for k in range(CELLS - 1):
            cells.append(Cell(CH, CH, stride=2 if k in (0, 3) else 1))
        self.cells = nn.ModuleList(cells)
        self.out = nn.Linear(CH, 4)

    def forward(self, x):
        for c in self.cells:
            x = c(x)
        return self.out(x.mean((2, 3)))


X, Y = crops(1024, 100)
XT, YT = crops(400, 101)


def model():
    return TileNet()


def data():
    p = torch.randperm(len(X))
    for k in range(0, len(X), 32):
        yield X[p[k:k + 32]], Y[p[k:k + 32]]


loss = F.cross_entropy


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, nesterov=True)
