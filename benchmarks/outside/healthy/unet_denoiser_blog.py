# Small U-Net that removes noise from 8x8 digits. Code of the blog post, part 2.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class DoubleConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.seq = nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1),
            nn.BatchNorm2d(o),
            nn.ReLU(inplace=True),
            nn.Conv2d(o, o, 3, padding=1),
            nn.BatchNorm2d(o),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.seq(x)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1, self.d2, self.mid = DoubleConv(1, 16), DoubleConv(16, 32), DoubleConv(32, 64)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(64, 32, 2, 2)
        self.u2 = DoubleConv(64, 32)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, 2)
        self.u1 = DoubleConv(32, 16)
        self.last = nn.Conv2d(16, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(self.pool(a))
        c = self.mid(self.pool(b))
        y = self.u2(torch.cat([self.up2(c), b], 1))
        y = self.u1(torch.cat([self.up1(y), a], 1))
        return x - self.last(y)


clean = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1


def model():
    return UNet()


def batch():
    x = clean[torch.randint(0, len(clean), (32,))]
    return x + 0.5 * torch.randn_like(x), x


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
