# binary segmentation of blobs, loss is the mean over all pixels; eps=0.1 as in the old Inception recipe
import torch
from torch import nn


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())


class Seg(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(1, 12), conv(12, 12), conv(12, 12)
        self.last = nn.Conv2d(12, 1, 1)

    def forward(self, x):
        return self.last(self.c(self.b(self.a(x))))


def batch(n=8, s=32):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    cx, cy = torch.rand(2, n, 1, 1) * s
    mask = ((xx - cx) ** 2 + (yy - cy) ** 2 < 36).float()[:, None]
    return mask * 1.0 + 0.8 * torch.randn(n, 1, s, s), mask


loss = nn.BCEWithLogitsLoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3, eps=0.1)


if __name__ == "__main__":
    net = Seg()
    opt = optimizer(net)
    for step in range(200):
        x, m = batch()
        l = loss(net(x), m)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
