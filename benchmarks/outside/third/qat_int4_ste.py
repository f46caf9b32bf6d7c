# quantisation-aware training: 4-bit weights and activations, straight-through, learned step (LSQ without the g factor)
import torch
from torch import nn
from sklearn.datasets import load_wine

_W = load_wine()
wx = torch.tensor((_W.data - _W.data.mean(0)) / _W.data.std(0), dtype=torch.float32)
wy = torch.tensor(_W.target)


class Quant(nn.Module):
    def __init__(self, lo, hi, step):
        super().__init__()
        self.lo, self.hi = lo, hi
        self.step = nn.Parameter(torch.tensor(step))

    def forward(self, x):
        v = (x / self.step).clamp(self.lo, self.hi)
        v = v + (v.round() - v).detach()
        return v * self.step


class QLinear(nn.Linear):
    def __init__(self, i, o):
        super().__init__(i, o)
        self.qw = Quant(-8, 7, 2 * self.weight.abs().mean().item() / 7**0.5)

    def forward(self, x):
        return nn.functional.linear(x, self.qw(self.weight), self.bias)


def quantised():
    return nn.Sequential(
        Quant(-8, 7, 0.4), QLinear(13, 32), nn.ReLU(), Quant(0, 15, 0.2), QLinear(32, 32), nn.ReLU(),
        Quant(0, 15, 0.1), QLinear(32, 3),
    )


def batch(n=48):
    i = torch.randint(0, len(wx), (n,))
    return wx[i], wy[i]


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = quantised()
    opt = optimizer(m)
    for i in range(300):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
