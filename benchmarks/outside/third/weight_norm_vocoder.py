# dilated conv vocoder block stack with torch.nn.utils.parametrizations.weight_norm, predicts the next sample
import math
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm


class Vocoder(nn.Module):
    def __init__(self, c=24, layers=8):
        super().__init__()
        self.inp = weight_norm(nn.Conv1d(1, c, 1))
        self.dil = nn.ModuleList()
        for i in range(layers):
            d = 2 ** (i % 4)
            self.dil.append(nn.Sequential(nn.LeakyReLU(0.1), nn.ConstantPad1d((2 * d, 0), 0.0),
                                          weight_norm(nn.Conv1d(c, c, 3, dilation=d))))
        self.out = weight_norm(nn.Conv1d(c, 1, 1))

    def forward(self, x):
        h = self.inp(x)
        for f in self.dil:
            h = h + f(h)
        return self.out(torch.nn.functional.leaky_relu(h, 0.1))


def batch(n=16, T=128):
    t = torch.arange(T + 1)
    f = 0.02 + 0.08 * torch.rand(n, 1, 1)
    w = torch.sin(2 * math.pi * f * t + 6.28 * torch.rand(n, 1, 1)) + 0.02 * torch.randn(n, 1, T + 1)
    return w[..., :-1], w[..., 1:]


loss = nn.L1Loss()


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3, betas=(0.8, 0.99))


if __name__ == "__main__":
    m = Vocoder()
    opt = optimizer(m)
    for i in range(200):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
