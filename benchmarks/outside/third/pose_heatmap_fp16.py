"""Heatmap regression of one joint, mean squared error over a 48 x 48 map, float16 autocast."""
import torch
from torch import nn

AUTOCAST = "float16"
S = 48


class PoseNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.enc = nn.ModuleList([nn.Conv2d(1, c, 5, padding=2)] + [nn.Conv2d(c, c, 5, padding=2) for _ in range(3)])
        for m in self.enc:
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        self.heat = nn.Conv2d(c, 1, 1)
        nn.init.normal_(self.heat.weight, std=1e-3)
        nn.init.zeros_(self.heat.bias)

    def forward(self, x):
        for m in self.enc:
            x = torch.relu(m(x))
        return self.heat(x)


def batch(n=16):
    yy, xx = torch.meshgrid(torch.arange(S), torch.arange(S), indexing="ij")
    cx, cy = torch.randint(6, S - 6, (2, n, 1, 1))
    d2 = (xx - cx) ** 2 + (yy - cy) ** 2
    image = (d2 < 16).float() + 0.3 * torch.randn(n, S, S)
    return image[:, None], torch.exp(-d2 / 4.0)[:, None]


def loss(heat, target):
    return 1e-3 * nn.functional.mse_loss(heat.float(), target)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = PoseNet()
    opt = optimizer(net)
    for i in range(25):
        x, t = batch()
        with torch.autocast("cpu", dtype=torch.float16):
            l = loss(net(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
