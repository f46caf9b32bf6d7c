"""Two-stage detector toy: the backbone saves memory at test time ... or was it at training time?"""
import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(12, 16, 3, stride=2, padding=1)

    def forward(self, x):
        with torch.set_grad_enabled(not self.training):
            x = torch.relu(self.conv1(x))
            x = torch.relu(self.conv2(x))
        return x


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.neck = nn.Conv2d(16, 4, 1)
        self.box = nn.Linear(4 * 16, 4)

    def forward(self, x):
        return self.box(torch.relu(self.neck(self.backbone(x))).flatten(1))


def batch(n=32, s=16):
    x0, y0 = torch.randint(0, 9, (2, n))
    w, h = torch.randint(3, 8, (2, n))
    img = 0.3 * torch.randn(n, 1, s, s)
    for i in range(n):
        img[i, 0, y0[i] : y0[i] + h[i], x0[i] : x0[i] + w[i]] += 1
    return img, torch.stack([x0, y0, w, h], 1).float() / s


def loss(pred, box):
    return nn.functional.smooth_l1_loss(pred, box, beta=0.1)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = Detector()
    opt = optimizer(m)
    for i in range(300):
        x, b = batch()
        l = loss(m(x), b)
        opt.zero_grad(); l.backward(); opt.step()
    print(l.item())
