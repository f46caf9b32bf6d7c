"""Deblurring with a plain 14-layer conv net, orthogonal start (gain 2, 'a bit more signal')."""
import torch
from torch import nn


class Deblur(nn.Module):
    def __init__(self, c=16, depth=14, gain=2.0):
        super().__init__()
        convs = [nn.Conv2d(1, c, 3, padding=1)]
        convs += [nn.Conv2d(c, c, 3, padding=1) for _ in range(depth - 2)]
        self.convs = nn.ModuleList(convs)
        self.last = nn.Conv2d(c, 1, 3, padding=1)
        for m in self.convs:
            nn.init.orthogonal_(m.weight, gain)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        for m in self.convs:
            x = torch.relu(m(x))
        return self.last(x)


def batch(n=8, s=20):
    sharp = (torch.rand(n, 1, s, s) < 0.08).float()
    sharp = nn.functional.max_pool2d(sharp, 3, 1, 1)
    blurred = nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    return blurred - 0.5, sharp


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9)


if __name__ == "__main__":
    m = Deblur()
    opt = optimizer(m)
    for i in range(200):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 20 == 0:
            print(i, l.item())
